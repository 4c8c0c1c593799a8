"""One file is a command line and an MCP tool: the example of it, run as both, and tables that define nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.server.lowlevel import Server

from nexus.plugin import NotFound, define_commands, register_mcp
from nexus.standalone.commands import DefinitionInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "math_cli.py"
SECONDS = 120


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return {"PATH": os.defpath, "HOME": str(tmp_path), "NEXUS_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}


def math(environment: Mapping[str, str], *words: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_the_example_is_a_command_line(environment: Mapping[str, str]) -> None:
    status, answer = math(environment, "add", "2", "3")
    assert (status, answer["data"]) == (0, {"result": 5.0})
    status, answer = math(environment, "divide", "1", "0")
    assert (status, answer["errors"][0]["code"], answer["errors"][0]["details"]["field"]) == (
        2,
        "VALIDATION_ERROR",
        "b",
    )
    status, answer = math(environment, "stats", "mean", "--numbers", "1,2,6", "--query", "mean")
    assert (status, answer["data"]) == (0, 3.0)
    status, answer = math(environment, "multiplx", "1", "2")
    hint = answer["errors"][0]["details"]["hint"]
    assert (status, hint) == (4, "math help multiply")
    status, answer = math(environment, *hint.split()[1:])
    assert (status, answer["data"]["name"]) == (0, "math multiply")
    status, answer = math(environment, "version")
    assert answer["data"] == {"name": "math", "version": "1.0.0"}


async def test_the_example_is_a_tool_of_an_mcp_server(environment: Mapping[str, str]) -> None:
    server = StdioServerParameters(command=sys.executable, args=[str(EXAMPLE), "--mcp"], env=dict(environment))
    async with Client(server, read_timeout_seconds=SECONDS) as client:
        [tool] = (await client.list_tools()).tools
        assert tool.name == "math"
        expected = "Mathematical operations. Commands: add, multiply, divide, stats. Run 'help' for details"
        assert tool.description == expected
        answer = await client.call_tool("math", {"command": "add 2 '3'"})
        assert answer.structured_content is not None
        assert answer.structured_content["data"] == {"result": 5.0}
        helped = await client.call_tool("math", {"command": "help add"})
        assert helped.structured_content is not None
        assert helped.structured_content["data"]["name"] == "math add"


async def test_a_low_level_server_keeps_the_tools_that_it_has(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def look(args: Any) -> None:
        raise NotFound(f"There is no {args.what}.", what=args.what)

    async def later(_args: Any) -> list[int]:
        return [1, 2]

    what = {"what": {"required": True, "description": "What."}}
    first = define_commands({"look": {"description": "Look.", "args": what, "handler": look}})
    second = define_commands({"later": {"description": "Later.", "handler": later}})
    server: Server[Any] = Server("two")
    register_mcp(server, first, name="first")
    register_mcp(server, second, name="second")
    async with Client(server, read_timeout_seconds=SECONDS) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["first", "second"]
        failed = await client.call_tool("first", {"command": "look --what 'a key; rm -rf /'"})
        assert failed.is_error
        assert failed.structured_content is not None
        assert failed.structured_content["errors"][0]["details"]["what"] == "a key; rm -rf /"
        listed = await client.call_tool("second", {"command": "second later"})
        assert listed.structured_content is not None
        assert listed.structured_content["data"]["items"] == [1, 2]


def nothing(_args: Any) -> None:
    return None


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"a": {"description": "A."}},
        {"a": {"handler": nothing}},
        {"A b": {"description": "A.", "handler": nothing}},
        {"help": {"description": "A.", "handler": nothing}},
        {"a": {"description": "A.", "handler": nothing, "strange": 1}},
        {"a": {"description": "A.", "handler": nothing, "args": {"b": {"type": "colour"}}}},
        {
            "a": {
                "description": "A.",
                "handler": nothing,
                "subcommands": {"b": {"description": "B.", "handler": nothing}},
            }
        },
    ],
)
def test_a_table_that_defines_nothing_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(DefinitionInvalid):
        define_commands(table)
