"""Which plugins run: those that are whole, wanted and trusted, that clash with nothing and miss nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nexus.mcp.tools import Offer
from tests.nexus.plugins.conftest import action, manifest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nexus.plugins.conftest import Home

CODE = """
def go(context):
    return {"by": __name__}
"""


def plugin(name: str, **more: Any) -> dict[str, Any]:
    return manifest(name, {"go": action(f"{name.replace('-', '_')}_code:go")}, **more)


async def states(home: Home) -> dict[str, str]:
    return {each["name"]: each["state"] for each in (await home("settings plugin list")).data["items"]}


async def problem(home: Home, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (await home(f"settings plugin view --name {name}")).data["problem"]
    return found


async def test_a_path_that_nexus_has_is_refused_with_both_named(home: Home) -> None:
    clash = plugin("clash")
    clash["namespaces"] = {"agent": {"resources": {"project": {"actions": {"list": action("clash_code:go")}}}}}
    home.write(clash, CODE)
    told = await problem(home, "clash")
    assert told["code"] == "PLUGIN_CONFLICT"
    assert "clash" in told["message"]
    assert "'agent project list'" in told["message"]
    assert "nexus has" in told["message"]
    assert (await home("help agent project list")).data["summary"] == "List the projects."


async def test_a_path_of_another_plugin_is_refused_and_the_first_one_stays(home: Home) -> None:
    home.write(plugin("first"), CODE)
    second = plugin("second")
    second["namespaces"] = plugin("first")["namespaces"]
    home.write(second, CODE)
    assert await states(home) == {"first": "active", "second": "conflict"}
    told = await problem(home, "second")
    assert "second" in told["message"]
    assert "the plugin first" in told["message"]
    assert (await home("first it go")).data == {"by": "first_code"}
    await home("settings plugin disable --name first")
    assert await states(home) == {"first": "disabled", "second": "active"}


async def test_resources_are_added_to_a_namespace_that_is_there(home: Home) -> None:
    more = plugin("more")
    more["namespaces"] = {"agent": {"resources": {"weather": {"actions": {"view": action("more_code:go")}}}}}
    home.write(more, CODE)
    assert (await home("agent weather view")).data == {"by": "more_code"}
    agent = (await home("help agent")).data
    assert {"project", "weather"} <= {child["name"] for child in agent["children"]}
    assert agent["summary"] != ""


@pytest.mark.parametrize(
    ("requires", "says"),
    [
        ({"nexus": ">=99"}, "needs nexus >=99"),
        ({"plugins": {"base": "^2"}}, "needs the plugin base ^2, and 1.0.0 is here"),
        ({"plugins": {"absent": "*"}}, "needs the plugin absent *, which is not active"),
    ],
)
async def test_what_it_needs_and_is_not_there_is_explained(home: Home, requires: dict[str, Any], says: str) -> None:
    home.write(plugin("base"), CODE)
    home.write(plugin("needy", requires=requires), CODE)
    home.write(plugin("needier", requires={"plugins": {"needy": "*"}}), CODE)
    assert await states(home) == {"base": "active", "needy": "conflict", "needier": "conflict"}
    assert says in (await problem(home, "needy"))["message"]


async def test_what_it_needs_may_come_later(home: Home) -> None:
    home.write(plugin("a-needy", requires={"plugins": {"zbase": "^1"}}), CODE)
    assert await states(home) == {"a-needy": "conflict"}
    home.write(plugin("zbase"), CODE)
    assert await states(home) == {"a-needy": "active", "zbase": "active"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "line 2, column 1"),
        ("name: Bad Name\nversion: 1.0.0\nkind: io\nsummary: x", "name:"),
        ("name: bad\nversion: 1.0\nkind: io\nsummary: x", "version:"),
        ("name: bad\nversion: 1.0.0\nkind: other\nsummary: x", "kind:"),
        ("name: bad\nversion: 1.0.0\nkind: io\nsummary: x\nstrange: 1", "strange"),
        ("a: &a [1]\nb: [*a]", "anchors"),
        ("name: bad\nversion: 1.0.0\nkind: io\nsummary: x\nrequires: {nexus: '>>1'}", "range"),
        ("just text", "no keys"),
        ("x: " + "y" * 300_000, "larger"),
    ],
)
async def test_a_manifest_that_cannot_be_used_says_where(home: Home, text: str, says: str) -> None:
    folder = home.own / "bad"
    folder.mkdir(parents=True)
    (folder / "plugin.yml").write_text(text)
    assert await states(home) == {"bad": "invalid"}
    told = await problem(home, "bad")
    assert told["code"] == "PLUGIN_INVALID"
    assert says in told["message"]
    assert (await home("version")).status == 0
    assert (await home("settings plugin remove --name bad --yes")).data["change"] == "deleted"


@pytest.mark.parametrize("flags", [{"output": {"description": "x"}}, {"a": {"description": "x", "type": "odd"}}])
async def test_a_flag_that_is_taken_or_of_no_type_is_refused(home: Home, flags: dict[str, Any]) -> None:
    home.write(manifest("bad", {"go": action("bad_code:go", flags=flags)}), CODE)
    assert await states(home) == {"bad": "invalid"}


@pytest.fixture(params=[".nexus/plugins", "aether/plugins"])
def project_root(request: pytest.FixtureRequest, home: Home) -> Path:
    root: Path = home.project / request.param
    return root


async def test_a_projects_plugin_runs_only_as_it_was_trusted(home: Home, project_root: Path) -> None:
    folder = home.write(plugin("theirs"), CODE, root=project_root)
    assert await states(home) == {"theirs": "untrusted"}
    refused = (await home("theirs it go")).error
    assert refused["code"] == "PLUGIN_UNTRUSTED"
    assert refused["details"]["hint"] == "nexus settings plugin trust --name theirs"
    told = await problem(home, "theirs")
    assert (told["code"], told["hint"]) == ("PLUGIN_UNTRUSTED", "nexus settings plugin trust --name theirs")
    assert (await home(told["hint"])).data["change"] == "updated"
    assert (await home(told["hint"])).data["change"] == "unchanged"
    assert (await home("theirs it go")).data == {"by": "theirs_code"}
    (folder / "theirs_code.py").write_text("raise SystemExit")
    assert (await home("theirs it go")).error["code"] == "PLUGIN_UNTRUSTED"
    assert (await home("settings plugin remove --name theirs --yes")).error["code"] == "VALIDATION_ERROR"
    assert (await home("settings plugin disable --name theirs")).data["state"] == "disabled"


async def test_a_projects_plugin_is_found_from_below_and_not_from_elsewhere(home: Home) -> None:
    home.write(plugin("theirs"), CODE, root=home.project / ".nexus" / "plugins")
    top = home.project
    home.project = top / "deep" / "down"
    home.project.mkdir(parents=True)
    assert await states(home) == {"theirs": "untrusted"}
    home.project = top.parent
    assert await states(home) == {}


async def test_of_two_with_one_name_the_persons_own_runs(home: Home) -> None:
    home.write(plugin("same"), CODE)
    home.write(plugin("same"), CODE, root=home.project / ".nexus" / "plugins")
    items = (await home("settings plugin list")).data["items"]
    assert {each["origin"]: each["state"] for each in items} == {"user": "active", "project": "conflict"}
    refused = next(each["problem"]["message"] for each in items if each["origin"] == "project")
    assert str(home.own) in refused
    assert str(home.project) in refused


async def test_doctor_and_mcp_know_of_plugins(home: Home) -> None:
    home.write(plugin("mine"), CODE)
    home.write(plugin("other", requires={"nexus": ">=99"}), CODE)
    items = (await home("doctor")).data["items"]
    finding = next(item for item in items if item["check"] == "plugins")
    assert (finding["status"], finding["hint"]) == ("warning", "nexus settings plugin list")
    assert "other" in finding["message"]
    offer = Offer((await home.runtime.at(home.project)).index, read_only=True)
    assert list(offer.namespaces["mine"].commands) == ["it go"]


async def test_decisions_that_cannot_be_read_stop_plugins_and_nothing_else(home: Home) -> None:
    home.write(plugin("mine"), CODE)
    home.folders.config.mkdir(parents=True)
    (home.folders.config / "plugins.json").write_text("{")
    assert await states(home) == {"mine": "disabled"}
    assert (await problem(home, "mine"))["code"] == "CONFIG_INVALID"
    assert (await home("version")).status == 0
