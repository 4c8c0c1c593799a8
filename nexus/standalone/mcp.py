"""`register_mcp`: a table of commands as one tool of an MCP server, whose argument is a command line."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nexus.call import Call
from nexus.cli.called import called
from nexus.dispatch.dispatcher import Answer
from nexus.exec.collect import collected
from nexus.exec.runner import NoInput, Request, Runner
from nexus.output.render import json_line
from nexus.schemas.command import GlobalFlags
from nexus.schemas.envelope import Envelope
from nexus.standalone.commands import Commands
from nexus.standalone.program import Program

SECONDS = 300.0
_MOST_NAMES = 40

Run = Callable[[str], Awaitable[Envelope]]


class _Dropped:
    """An end that nobody reads: a tool answers by its result."""

    is_terminal = False

    async def write(self, data: bytes, reached: object = None) -> None:
        """Drop it."""


class _NoSignals:
    """A caller that sends none."""

    async def next(self) -> int:
        """Wait for ever."""
        number: int = await asyncio.get_running_loop().create_future()
        return number


def register_mcp(
    server: Any, commands: Commands, *, name: str, description: str = "Commands.", version: str = "0.0.0"
) -> None:
    """Add a tool to a server of the library `mcp`, its `MCPServer` or its low-level `Server`.

    The tool is called with `command`, a line such as `add 2 3`; no shell reads it. Its answer is the envelope. Raises
    `TypeError` for what is no such server.
    """
    run = runner_of(commands, name=name, description=description, version=version)
    told = described(commands, description)
    if hasattr(server, "add_tool"):

        async def tool(command: str) -> dict[str, Any]:
            return _plain(await run(command))

        server.add_tool(tool, name=name, description=told)
    elif hasattr(server, "add_request_handler"):
        _add_low_level(server, name, told, run)
    else:
        raise TypeError(f"{type(server).__name__} is no MCP server")


def described(commands: Commands, description: str) -> str:
    """Return the tool's description: its commands by name, and how to learn more."""
    names = list(dict.fromkeys(line.partition(" ")[0] for line in commands.names))
    more = ", …" if len(names) > _MOST_NAMES else ""
    return f"{description.rstrip('.')}. Commands: {', '.join(names[:_MOST_NAMES])}{more}. Run 'help' for details"


def runner_of(commands: Commands, *, name: str, description: str, version: str) -> Run:
    """Return what runs a line and returns its envelope."""
    environment = dict(os.environ)  # noqa: TID251 -- a process of one caller
    cwd = str(Path.cwd())
    program = Program(commands, name=name, version=version, description=description, environment=environment, cwd=cwd)
    call = Call(
        argv=(),
        cwd=Path(cwd),
        environment=environment,
        stdin=NoInput(),
        stdout=_Dropped(),
        stderr=_Dropped(),
        signals=_NoSignals(),
    )
    runner = Runner(call, GlobalFlags(), program)

    async def run(line: str) -> Envelope:
        words = line.strip()
        if words == name or words.startswith(f"{name} "):
            words = words[len(name) :].strip()
        answer, request_id = await runner.run(Request(line=words or "help"))
        if not isinstance(answer, Answer):
            answer = await collected(answer, call, request_id, SECONDS)
        return called(answer.envelope, name)

    return run


def _plain(envelope: Envelope) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json_line(envelope))
    return told


def _add_low_level(server: Any, name: str, told: str, run: Run) -> None:
    """Add the tool beside those that the server has."""
    import mcp_types as types
    from mcp.shared.exceptions import MCPError

    listed, ran = server.get_request_handler("tools/list"), server.get_request_handler("tools/call")
    schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        before = await listed.handler(context, params) if listed else None
        own = types.Tool(name=name, description=told, input_schema=schema)
        return types.ListToolsResult(tools=[*(before.tools if before else ()), own])

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> Any:
        if params.name != name:
            if ran is None:
                raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name[:100]!r}.")
            return await ran.handler(context, params)
        command = (params.arguments or {}).get("command")
        envelope = _plain(await run(command if isinstance(command, str) else "help"))
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=json.dumps(envelope, ensure_ascii=False))],
            structured_content=envelope,
            is_error=envelope["status"] == "error",
        )

    server.add_request_handler("tools/list", types.PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
