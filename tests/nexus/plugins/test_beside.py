"""What a plugin does beside commands: hooks that hear, validators that refuse, formats and templates that write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.handlers.conftest import nexus  # noqa: F401 -- a fixture
from tests.nexus.plugins.conftest import Home, action, manifest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.handlers.conftest import Nexus

HOOKS = """
import json, os

def heard(given, context):
    with open(os.path.join(context.data, "heard"), "a") as file:
        file.write(json.dumps(dict(given)) + "\\n")

def raises(given, context):
    raise ValueError("a broken hook")

def slow(given, context):
    import time
    time.sleep(60)
"""


def listening(*hooks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return manifest("ears", hooks=list(hooks), **more)


def hook(event: str, call: str = "heard", **more: Any) -> dict[str, Any]:
    return {"event": event, "call": f"ears_code:{call}", "timeout": 5, **more}


def heard(data: Path) -> list[dict[str, Any]]:
    file = data / "plugin-data" / "ears" / "heard"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def test_hooks_hear_before_and_after_the_commands_that_they_want(home: Home) -> None:
    home.write(listening(hook("command.before"), hook("command.after", commands=["settings.*"])), HOOKS)
    await home("settings alias list --limit 7")
    await home("settings alias delete --name nothing")
    await home("version")
    events = [(each["event"], each["command"], each.get("code")) for each in heard(home.folders.data)]
    assert events == [
        ("command.before", "settings alias list", None),
        ("command.after", "settings alias list", None),
        ("command.before", "settings alias delete", None),
        ("command.after", "settings alias delete", "RESOURCE_NOT_FOUND"),
        ("command.before", "version", None),
    ]
    assert heard(home.folders.data)[0]["arguments"]["limit"] == 7


async def test_a_broken_or_slow_hook_is_a_warning_and_breaks_nothing(home: Home) -> None:
    home.write(
        listening(hook("command.before", "raises"), hook("command.after", "slow", timeout=0.2), hook("command.before")),
        HOOKS,
    )
    done = await home("version")
    assert done.data["name"] == "nexus"
    warnings = [log["message"] for log in done.logs if log["level"] == "warning"]
    assert ["PLUGIN_ERROR" in warnings[0], "TIMEOUT" in warnings[1]] == [True, True]
    assert [each["event"] for each in heard(home.folders.data)] == ["command.before"]


async def test_hooks_hear_of_the_end_of_a_stream(home: Home) -> None:
    streams = manifest("ears", {"go": action("ears_code:go", effects=["read", "streaming"])})
    streams["hooks"] = [hook("command.after")]
    home.write(streams, HOOKS + "\ndef go(context):\n    yield {'a': 1}\n")
    assert len((await home("ears it go")).events) == 3
    assert [each["status"] for each in heard(home.folders.data)] == ["ok"]


async def test_hooks_hear_of_contexts_and_sessions(nexus: Nexus) -> None:  # noqa: F811 -- the fixture
    folder = nexus.runtime.folders.data / "plugins"
    events = ("context.changed", "session.created", "session.closed")
    Home.write_into(folder, listening(*(hook(event) for event in events)), HOOKS)
    await nexus.all("agent project create --name demo --select")
    opened = (await nexus("agent terminal open")).data
    await nexus.all(f"session live close {opened['sessionId']}")
    found = heard(nexus.runtime.folders.data)
    assert [each["event"] for each in found] == list(events)
    assert found[0]["changes"][0]["kind"] == "project"
    assert found[1]["sessionId"] == found[2]["sessionId"] == opened["sessionId"]


VALIDATORS = """
from nexus.plugin import Invalid

def no_secrets(given, context):
    if "secret" in str(given.arguments):
        raise Invalid("Nothing secret here.", field="name")

def broken(given, context):
    raise KeyError("x")
"""


async def test_a_validator_refuses_arguments_of_any_command_and_a_broken_one_nothing(home: Home) -> None:
    validators = [
        {"command": "settings.alias.*", "call": "ears_code:no_secrets"},
        {"command": "settings.*", "call": "ears_code:broken"},
    ]
    home.write(manifest("ears", contributes={"validators": validators}), VALIDATORS)
    refused = (await home("settings alias set --name secret --command version")).error
    assert (refused["code"], refused["message"]) == ("VALIDATION_ERROR", "Nothing secret here.")
    done = await home("settings alias set --name open --command version")
    assert done.data["change"] == "created"
    assert "validator" in done.logs[0]["message"]
    assert (await home("version")).stderr == b""


WRITERS = """
def csv(given, context):
    items = given.envelope["data"]["items"]
    return "\\n".join(item["name"] for item in items)

def broken(given, context):
    raise ValueError("no")
"""


async def test_an_output_format_of_a_plugin_is_one_of_every_command(home: Home) -> None:
    formats = {name: {"description": "Names.", "call": f"ears_code:{name}"} for name in ("csv", "broken")}
    home.write(manifest("ears", contributes={"outputFormats": formats}), WRITERS)
    assert (await home("settings plugin list --output csv")).stdout == b"ears\n"
    fallen = await home("settings plugin list --output broken")
    assert json.loads(fallen.stdout)["status"] == "ok"
    assert "not written as broken" in fallen.logs[0]["message"]
    output = next(flag for flag in (await home("schema")).data["globalFlags"] if "--output" in flag["flags"])
    assert {"json", "csv"} <= set(output["choices"])
    assert (await home("version --output pink")).error["code"] == "VALIDATION_ERROR"
    home.write(manifest("json-again", contributes={"outputFormats": {"json": formats["csv"]}}), WRITERS)
    problem = (await home("settings plugin view --name json-again")).data["problem"]
    assert "'json', which nexus has" in problem["message"]


async def test_templates_take_the_place_of_what_people_are_shown(home: Home) -> None:
    templates = {
        "human": {"settings.plugin.list": "list.txt", "version": "../../out.txt"},
        "help": {"settings.plugin": "help.txt"},
        "scaffolds": {"mine": "mine"},
    }
    folder = home.write(manifest("ears", contributes={"templates": templates}))
    (folder / "list.txt").write_text("{{#items}}* {{name}} ({{state}}){{/items}}{{^items}}none{{/items}}\n")
    (folder / "help.txt").write_text("{{summary}} {{nothing.at.all}}Ask {{children}}\n")
    (home.folders.data / "out.txt").write_text("out")
    (folder / "mine").mkdir()
    (folder / "mine" / "plugin.yml").write_text(json.dumps(manifest("$name")))
    assert (await home("settings plugin list --output human")).stdout == b"* ears (active)\n"
    assert (await home("settings plugin --help --output human")).stdout.startswith(b"`settings plugin`: what adds")
    kept = await home("version --output human")
    assert b"out" not in kept.stdout.split()
    assert "leaves its plugin's folder" in kept.logs[0]["message"]
    made = (await home("settings plugin create --name other --template mine")).data
    assert (made["state"], made["files"]) == ("active", ["plugin.yml"])
    assert json.loads((await home("settings plugin list")).stdout)["status"] == "ok"
