"""Configuration by command, and its views: theme, workspace, category, option."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


async def test_every_setting_says_where_its_value_came_from(nexus: Nexus) -> None:
    await nexus.all("settings config set --key theme.mode --value dark")
    environment = {"NEXUS_RUNTIME_TIMEOUT": "60"}
    view = (await nexus("settings config view --output json", environment=environment)).data
    sources = {item["key"]: (item["value"], item["source"], item["origin"]) for item in view["items"]}
    assert sources["theme.mode"] == ("dark", "file", view["path"])
    assert sources["runtime.timeout"] == (60.0, "environment", "NEXUS_RUNTIME_TIMEOUT")
    assert sources["output.format"] == ("json", "flag", None)
    assert sources["theme.palette"] == ("default", "default", None)


async def test_a_view_is_a_list_like_any_other(nexus: Nexus) -> None:
    first = (await nexus("settings config view --category workspace --limit 2 --sort -key")).data
    assert [item["key"] for item in first["items"]] == ["workspace.remember_last_path", "workspace.detail_mode"]
    assert first["truncated"] is True
    cursor = first["nextCursor"]
    rest = (await nexus(f"settings config view --category workspace --sort -key --cursor {cursor}")).data
    assert [item["key"] for item in rest["items"]] == ["workspace.auto_open_terminal"]
    assert (await nexus("settings config view --filter PALETTE")).data["items"][0]["key"] == "theme.palette"
    for bad in (f"--cursor {cursor}", "--cursor e30", "--cursor ä", "--sort value", "--limit 0"):
        assert (await nexus(f"settings config view {bad}")).error["code"] == "VALIDATION_ERROR", bad
    assert (await nexus("settings config view --category none")).status == 4


async def test_a_setting_is_written_read_and_taken_back(nexus: Nexus) -> None:
    written = (await nexus("settings config set --key output.format --value yaml --output json")).data
    assert (written["before"], written["changed"]) == ("json", False)  # the flag decides, and it is told so
    await nexus.all("settings config unset --key output.format --output json")
    written = (await nexus("settings config set --key runtime.timeout --value 60")).data
    assert (written["value"], written["source"], written["changed"]) == (60.0, "file", True)
    assert (await nexus("settings config get --key runtime.timeout")).data["value"] == 60.0
    unset = (await nexus("settings config unset --key runtime.timeout")).data
    assert (unset["source"], unset["changed"], unset["before"]) == ("default", True, 60.0)
    assert (await nexus("settings config unset --key runtime.timeout")).data["changed"] is False


async def test_what_the_environment_decides_is_told_when_the_file_is_written(nexus: Nexus) -> None:
    answer = await nexus("settings config set --key theme.mode --value dark", environment={"NEXUS_THEME_MODE": "light"})
    assert (answer.data["value"], answer.data["source"]) == ("light", "environment")
    assert "NEXUS_THEME_MODE" in answer.envelope["message"]


async def test_a_wrong_key_or_value_is_refused(nexus: Nexus) -> None:
    assert (await nexus("settings config get --key no.such")).status == 4
    assert (await nexus("settings config set --key no.such --value 1")).status == 4
    for bad in ("runtime.timeout --value soon", "theme.mode --value pink", "output.format --value xml"):
        assert (await nexus(f"settings config set --key {bad}")).status == 2
    assert (await nexus("settings config set --key theme.mode")).error["details"]["field"] == "value"


async def test_the_theme_is_a_view_on_the_configuration(nexus: Nexus) -> None:
    assert (await nexus("settings theme get")).data == {
        "mode": "auto",
        "palette": "default",
        "sources": {"mode": "default", "palette": "default"},
    }
    themed = (await nexus("settings theme set --mode dark --palette nord")).data
    assert (themed["mode"], themed["palette"], themed["changed"]) == ("dark", "nord", ["mode", "palette"])
    assert (await nexus("settings theme set --mode dark")).data["changed"] == []
    assert (await nexus("settings config get --key theme.palette")).data["value"] == "nord"
    assert (await nexus("settings theme set --palette nord")).status == 2
    assert (await nexus("settings theme set --mode pink")).status == 2


async def test_the_workspace_is_a_view_on_the_configuration(nexus: Nexus) -> None:
    changed = (await nexus("settings workspace set --auto-open-terminal --no-remember-last-path")).data
    assert changed["changed"] == ["autoOpenTerminal", "rememberLastPath"]
    seen = (await nexus("settings workspace get")).data
    assert (seen["autoOpenTerminal"], seen["detailMode"], seen["rememberLastPath"]) == (True, "minimal", False)
    assert (await nexus("settings workspace set --detail-mode expanded")).data["detailMode"] == "expanded"
    assert (await nexus("settings workspace set")).status == 2


async def test_options_are_found_by_category_and_key(nexus: Nexus) -> None:
    categories = (await nexus("settings category list")).data["items"]
    assert {"name": "theme", "keys": ["mode", "palette"]} in categories
    written = (await nexus("settings option set --category theme --key mode --value light")).data
    assert (written["key"], written["value"], written["changed"]) == ("theme.mode", "light", True)
    assert (await nexus("settings option get --category theme --key mode")).data["value"] == "light"
    assert (await nexus("settings option get --category theme --key no")).status == 4
    assert (await nexus("settings option set --category theme --key mode --value no")).status == 2


@pytest.mark.parametrize("text", ["[runtime]\ntimeout = 'abc'\n", "[runtimes]\ntimeout = 60\n"])
async def test_a_file_at_fault_stops_commands_and_the_hint_mends_it(nexus: Nexus, text: str) -> None:
    path = Path((await nexus("settings config view")).data["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    refused = (await nexus("agent project list")).error
    assert (refused["code"], refused["details"]["path"]) == ("CONFIG_INVALID", str(path))
    assert refused["message"].startswith(f"{path}, line ")
    diagnosis = (await nexus("doctor")).data
    assert [item["check"] for item in diagnosis["items"] if "CONFIG_INVALID" in item["message"]][:1] == [
        "configuration"
    ]
    assert (await nexus("version")).status == 0
    mended = (await nexus(refused["details"]["hint"].removeprefix("nexus "))).data
    assert mended["source"] == "default"
    assert (await nexus("agent project list")).status == 0
