"""Clients' own files get one entry, and keep everything that was in them."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, get_args

import pytest

from nexus.handlers.builtins import clients
from nexus.handlers.builtins.mcp import ClientName

if TYPE_CHECKING:
    from pathlib import Path

    from tests.handlers.conftest import Nexus


def test_every_client_can_be_named() -> None:
    assert get_args(ClientName) == clients.NAMES


async def registered(nexus: Nexus, more: str = "") -> dict[str, str]:
    return {item["client"]: item["change"] for item in (await nexus(f"mcp register {more}")).data["items"]}


async def test_an_entry_joins_what_was_there(nexus: Nexus) -> None:
    file: Path = nexus.cwd / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text('{\n    "other": {"a": [1]},\n    "mcpServers": {"mine": {"command": "x"}}\n}\n')
    file.chmod(0o640)
    assert await registered(nexus) == {"cursor": "created"}
    written = json.loads(file.read_text())
    assert written["other"] == {"a": [1]}
    assert written["mcpServers"]["mine"] == {"command": "x"}
    assert written["mcpServers"]["nexus"]["args"] == ["mcp", "serve"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert '\n    "other"' in file.read_text()
    before = file.read_bytes()
    assert await registered(nexus) == {"cursor": "unchanged"}
    assert await registered(nexus, "--read-only") == {"cursor": "kept"}
    assert file.read_bytes() == before


async def test_toml_keeps_its_comments(nexus: Nexus) -> None:
    file: Path = nexus.cwd / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text('# mine\nmodel = "m" # this one\n\n[mcp_servers.other]\ncommand = "x"\n')
    assert await registered(nexus, "--client codex --name work") == {"codex": "created"}
    text = file.read_text()
    assert "# mine" in text
    assert "# this one" in text
    assert set(tomllib.loads(text)["mcp_servers"]) == {"other", "work"}


@pytest.mark.parametrize("content", ["{ // a comment\n}", "[1]", '{"mcpServers": []}', "\x00", "{"])
async def test_a_file_that_is_not_understood_stays_as_it_is(nexus: Nexus, content: str) -> None:
    file: Path = nexus.cwd / ".gemini" / "settings.json"
    file.parent.mkdir()
    file.write_text(content)
    assert await registered(nexus) == {"gemini": "refused"}
    assert file.read_text() == content


async def test_a_link_stays_a_link(nexus: Nexus) -> None:
    real: Path = nexus.cwd / "dotfiles.json"
    real.write_text("{}")
    (nexus.cwd / ".claude.json").symlink_to(real)
    assert await registered(nexus) == {"claude-code": "created"}
    assert (nexus.cwd / ".claude.json").is_symlink()
    assert json.loads(real.read_text())["mcpServers"]["nexus"]["type"] == "stdio"


async def test_without_a_client_the_error_names_those_that_are_known(nexus: Nexus) -> None:
    refused = await nexus("mcp register")
    assert refused.error["code"] == "RESOURCE_NOT_FOUND"
    assert refused.error["details"]["available"] == list(clients.NAMES)
    assert (await nexus(refused.error["details"]["hint"])).status == 0
