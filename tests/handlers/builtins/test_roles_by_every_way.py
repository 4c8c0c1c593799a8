"""A role holds by whatever way a command comes: the command line, exec, batch, MCP, a WebSocket and polling."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.handlers.builtins.test_serve import PASSWORD, Server, error, told
from tests.nexus.mcp.test_mcp import TRANSPORTS, called

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Shell

DENIED = ("PERMISSION_DENIED", 3)


@pytest.fixture
def viewer(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Serve, and sign in as one who may list and view; a project is there and is selected."""
    monkeypatch.setenv("PATH", shell.environment["PATH"])
    server = Server(shell, tmp_path / "server")
    try:
        register = f"NEXUS_SETUP_TOKEN={server.setup_token()} nexus settings auth register --server {server.url}"
        told(shell.run(f"{register} --username anna", stdin=PASSWORD))
        told(shell.run("nexus agent project create --name far"))
        told(shell.run("nexus settings user create --name bert --role viewer", stdin=PASSWORD))
        told(
            shell.run(f"nexus settings auth login --server {server.url} --username bert --profile bert", stdin=PASSWORD)
        )
        told(shell.run("nexus agent project select --name far"))
        yield shell
    finally:
        server.stop()


def test_by_the_command_line_exec_batch_and_each_transport_of_a_session(viewer: Shell) -> None:
    told(viewer.run("nexus agent project list"))
    assert error(viewer.run("nexus agent project create --name no")) == DENIED
    assert error(viewer.run("nexus exec 'agent project create --name no'")) == DENIED
    records = [
        {"path": "agent.project.list"},
        {"path": "agent.project.create", "args": {"name": "no"}},
        {"command": "settings user list"},
        {"command": "agent terminal run --command id"},
    ]
    done = viewer.run("nexus batch", stdin=b"".join(json.dumps(each).encode() + b"\n" for each in records))
    envelopes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["errors"][0]["code"] if each["errors"] else "ok" for each in envelopes] == [
        "ok",
        *["PERMISSION_DENIED"] * 3,
    ]
    for transport in ("hybrid", "websocket", "polling"):
        told(viewer.run(f"nexus session live list --transport {transport}"))
        refused = viewer.run(f"nexus agent terminal run --collect --command id --transport {transport}")
        assert error(refused) == DENIED
        assert b"uid=" not in refused.stdout


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_by_mcp(viewer: Shell, transport: str) -> None:
    async with TRANSPORTS[transport](viewer, "2026-07-28") as client:
        listed: dict[str, Any] = await called(client, "agent", "project list")
        assert [item["name"] for item in listed["data"]["items"]] == ["far"]
        for command, args in (
            ("project create", {"name": "no"}),
            ("terminal run", {"command": "id", "project": "far"}),
        ):
            refused = await client.call_tool("agent", {"command": command, "args": args})
            assert isinstance(refused.structured_content, dict)
            assert refused.structured_content["errors"][0]["code"] == "PERMISSION_DENIED", refused
