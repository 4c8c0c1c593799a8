"""Help, schema and version: what is told without running anything."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING

from jsonschema import Draft202012Validator

import nexus as package

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


async def test_every_level_tells_what_is_below_it(nexus: Nexus) -> None:
    top = (await nexus("help")).data
    assert {"agent", "settings", "debug", "help", "schema", "version"} <= {child["name"] for child in top["children"]}
    assert {"--output", "--project", "--yes"} <= set(top["flags"])
    assert (await nexus("")).data == top
    assert (await nexus("--help")).data == top
    namespace = (await nexus("help agent")).data
    assert {"create", "delete", "list"} <= set(
        next(c for c in namespace["children"] if c["name"] == "project")["children"]
    )
    resource = (await nexus("help agent project")).data
    assert {"name": "create", "summary": "Create a project."} in resource["children"]
    assert (await nexus("agent project")).data == resource
    assert (await nexus("agent project --help")).data == resource
    assert (await nexus(resource["next"])).data["usage"]


async def test_a_commands_help_is_small_and_complete(nexus: Nexus) -> None:
    shown = (await nexus("help agent project create")).data
    assert shown["usage"] == "nexus agent project create --name NAME [--flags]"
    assert {"flag": "-n, --name NAME", "note": "required"}.items() <= shown["options"][0].items()
    assert shown["examples"]
    assert (await nexus("agent project create --help")).data == shown
    assert len(json.dumps(shown)) < 4000
    assert (await nexus("help agent roadmap list")).data["needs"] == ["project"]


async def test_help_reads_words_as_the_command_line_does(nexus: Nexus) -> None:
    full = (await nexus("help agent project list")).data
    for words in ("agent.project.list", "agent/project/list", "ag proj li", "AGENT Project LIST"):
        assert (await nexus(f"help {words}")).data == full
    assert (await nexus("help ag proj del")).data["name"] == "nexus agent project delete"


async def test_an_alias_is_the_command_that_it_names(nexus: Nexus) -> None:
    assert (await nexus("config get --key theme.mode")).data == (
        await nexus("settings config get --key theme.mode")
    ).data
    assert (await nexus("config get --help")).data["name"] == "nexus settings config get"
    assert (await nexus("help config set")).data["name"] == "nexus settings config set"
    assert "config" not in {child["name"] for child in (await nexus("help")).data["children"]}


async def test_help_on_what_is_not_there_names_what_is_near(nexus: Nexus) -> None:
    refused = await nexus("help agent projct")
    assert (refused.status, refused.error["code"]) == (4, "COMMAND_NOT_FOUND")
    assert refused.error["details"]["suggestions"] == ["agent project"]
    assert (await nexus("help agent project list more")).error["details"]["suggestions"] == ["agent project list"]


async def test_schema_of_the_whole_tree_comes_in_one_call(nexus: Nexus) -> None:
    tree = (await nexus("schema")).data
    names = [command["command"] for command in tree["commands"]]
    assert names == sorted(names, key=str.split)
    assert {"agent file open", "settings theme set", "debug kernel stop", "schema"} <= set(names)
    for command in tree["commands"]:
        Draft202012Validator.check_schema(command["arguments"])
        Draft202012Validator.check_schema(command["result"])
        assert command["examples"], command["command"]
        assert command["handlerId"] == "handler_" + command["command"].replace(" ", "_")
    assert any("--yes" in flag["flags"] for flag in tree["globalFlags"])


async def test_schema_of_one_command_says_what_a_program_must_know(nexus: Nexus) -> None:
    delete = (await nexus("schema agent project delete")).data["commands"][0]
    assert delete["needsConfirmation"] is True
    assert delete["arguments"]["oneOf"] == [{"required": ["id"]}, {"required": ["name"]}]
    assert {0, 2, 4, 5} <= set(delete["exitCodes"])
    assert "RESOURCE_NOT_FOUND" in delete["errors"]
    assert all(command["command"].startswith("debug ") for command in (await nexus("schema debug")).data["commands"])
    assert (await nexus("schema agent project lst")).status == 4


async def test_answers_fit_the_schema_that_is_told(demo: Nexus) -> None:
    for line in ("agent project list", "agent project view --name demo", "settings context view", "help", "version"):
        path = line.partition(" --")[0]
        schema = (await demo(f"schema {path}")).data["commands"][0]["result"]
        Draft202012Validator(schema).validate((await demo(line)).data)


async def test_version_is_the_packages(nexus: Nexus) -> None:
    shown = (await nexus("version")).data
    assert (shown["version"], shown["python"]) == (package.__version__, platform.python_version())
    assert (await nexus("--version")).data == shown
