"""A person's own names for commands: they resolve everywhere, and never hide a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


async def test_an_alias_is_the_command_with_its_flags(nexus: Nexus) -> None:
    await nexus.all("agent project create --name demo")
    made = (await nexus("settings alias set --name pl --command 'nexus agent project list'")).data
    assert (made["change"], made["command"], made["before"]) == ("created", "agent project list", None)
    for line in ("pl --query 'items[].name'", "PL --query 'items[].name'", """exec 'pl --query "items[].name"'"""):
        assert (await nexus(line)).data == ["demo"]
    assert (await nexus("help pl")).data["name"] == "nexus agent project list"
    assert (await nexus("settings alias list")).data["items"] == [{"name": "pl", "command": "agent project list"}]


async def test_setting_again_says_what_changed(nexus: Nexus) -> None:
    await nexus.all("settings alias set --name x --command version")
    assert (await nexus("settings alias set --name x --command version")).data["change"] == "unchanged"
    updated = (await nexus("settings alias set --name X --command help")).data
    assert (updated["change"], updated["before"]) == ("updated", "version")
    assert (await nexus("settings alias delete --name x")).data["change"] == "deleted"
    assert (await nexus("x")).error["code"] == "COMMAND_NOT_FOUND"
    assert (await nexus("settings alias delete --name x")).error["code"] == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize(
    ("name", "command", "code"),
    [
        ("agent", "version", "RESOURCE_CONFLICT"),
        ("version", "help", "RESOURCE_CONFLICT"),
        ("config", "version", "RESOURCE_CONFLICT"),
        ("a b", "version", "VALIDATION_ERROR"),
        ("-x", "version", "VALIDATION_ERROR"),
        ("../x", "version", "VALIDATION_ERROR"),
        ("x", "agent project", "RESOURCE_NOT_FOUND"),
        ("x", "agent project lst", "COMMAND_NOT_FOUND"),
    ],
)
async def test_what_cannot_be_an_alias_is_refused(nexus: Nexus, name: str, command: str, code: str) -> None:
    refused = await nexus(f"settings alias set --name='{name}' --command '{command}'")
    assert refused.error["code"] == code


async def test_a_name_of_nexus_wins_over_an_alias_of_an_older_file(nexus: Nexus) -> None:
    file = nexus.runtime.folders.config / "aliases.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"version": "settings config view", "gone": "agent nothing here"}')
    assert "python" in (await nexus("version")).data
    assert (await nexus("gone")).error["code"] == "COMMAND_NOT_FOUND"


async def test_a_damaged_file_is_told_and_stops_nothing_else(nexus: Nexus) -> None:
    file = nexus.runtime.folders.config / "aliases.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{")
    assert (await nexus("version")).status == 0
    assert (await nexus("settings alias list")).error["code"] == "CONFIG_INVALID"
    assert (await nexus("settings alias set --name x --command version")).error["code"] == "CONFIG_INVALID"
