"""The MCP server: lists the tools, runs what is called on the one path of a command, answers with its envelope.

It is imported when a server starts: the library behind it takes most of a second.
"""

import json
from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from nexus import __version__
from nexus.call import Call
from nexus.cli.line import flags_over
from nexus.dispatch.dispatcher import Answer
from nexus.dispatch.runtime import Runtime
from nexus.dispatch.surroundings import configuration_of
from nexus.exec.collect import collected
from nexus.exec.runner import Request, Runner
from nexus.mcp.tools import DISCOVERY, ENVELOPE_SCHEMA, INSTRUCTIONS, Namespace, Offer
from nexus.output.log import log_line
from nexus.output.render import json_line
from nexus.schemas.command import Effect, GlobalFlags
from nexus.schemas.envelope import failure, new_request_id
from nexus.schemas.errors import InputInvalid, NexusError

MOST_TOKENS = 25_000
"""What clients take as one result (bytes / 4 of the JSON)."""

Context = ServerRequestContext[Any, Any]


class CommandServer:
    """Serves the commands of an offer to MCP clients, in the surroundings of the call that started it.

    `context_name` is the named context that its commands select in: never the one of the person who started it.
    """

    def __init__(self, call: Call, flags: GlobalFlags, runtime: Runtime, offer: Offer, context_name: str) -> None:
        flags = flags_over(flags, GlobalFlags(context=context_name, max_tokens=MOST_TOKENS))
        self._call = call
        self._offer = offer
        self._runner = Runner(call, flags, runtime, allowed=offer.check)
        self._seconds = float(configuration_of(runtime, call, flags).get("runtime.timeout").value)
        self.server: Server[Any] = Server(
            "nexus",
            version=__version__,
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )

    async def _list_tools(self, _context: Context, _params: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(namespace) for namespace in self._offer.namespaces.values()])

    async def _call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        namespace = self._offer.namespaces.get(params.name)
        if namespace is None:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name[:100]!r}.")
        try:
            request = request_of(namespace, params.arguments or {})
        except NexusError as error:
            return _result(Answer(failure(error.entries(), new_request_id())))
        answer, request_id = await self._runner.run(request)
        if not isinstance(answer, Answer):

            async def told(events: int, newest: str) -> None:
                await context.session.report_progress(events, message=newest)

            answer = await collected(
                answer, self._call, request_id, self._seconds, told, most_bytes=MOST_TOKENS * 4 - 2000
            )
        for warning in answer.warnings:
            await self._call.stderr.write(log_line("warning", warning, answer.envelope.request_id))
        return _result(answer)


def request_of(namespace: Namespace, arguments: Mapping[str, Any]) -> Request:
    """Read a tool's arguments. Raises `InputInvalid`."""
    strangers = sorted(arguments.keys() - {"command", "args"})
    command, args = arguments.get("command"), arguments.get("args") or {}
    if strangers or not isinstance(command, str) or not isinstance(args, dict):
        raise InputInvalid.because(
            f"There is no argument {strangers[0]!r}: put it into args." if strangers else "A tool wants a command.",
            expected={"command": next(iter(namespace.commands), "help"), "args": {}},
            available=[*DISCOVERY, *namespace.commands],
            hint=f"nexus help {' '.join(namespace.prefix)}".rstrip(),
        )
    words = command.split()
    if words[:1] == ["nexus"]:
        words = words[1:]
    if words[:1] in ([name] for name in DISCOVERY):
        return Request(path=words[:1], arguments={**args, "path": _below(namespace, [*words[1:], *_path(args)])})
    if namespace.prefix and words[:1] != list(namespace.prefix):
        words = [*namespace.prefix, *words]
    return Request(path=words, arguments=args)


def _path(args: Mapping[str, Any]) -> list[str]:
    path = args.get("path") or args.get("command") or []
    words = path.replace(".", " ").replace("/", " ").split() if isinstance(path, str) else path
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputInvalid.because("args.path wants the words of a command.", expected="project create")
    return words


def _below(namespace: Namespace, words: list[str]) -> list[str]:
    return words if words[:1] == list(namespace.prefix) else [*namespace.prefix, *words]


def _tool(namespace: Namespace) -> types.Tool:
    effects = namespace.effects
    changes = bool({Effect.WRITE, Effect.DESTRUCTIVE} & effects)
    return types.Tool(
        name=namespace.name,
        description=namespace.description,
        input_schema=namespace.input_schema,
        output_schema=ENVELOPE_SCHEMA,
        annotations=types.ToolAnnotations(
            read_only_hint=not changes, destructive_hint=Effect.DESTRUCTIVE in effects if changes else None
        ),
    )


def _result(answer: Answer) -> types.CallToolResult:
    """Give the envelope twice: some clients pass their model only the one on success, and only the other on errors."""
    line = json_line(answer.envelope).decode().rstrip("\n")
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=line)],
        structured_content=json.loads(line),
        is_error=answer.envelope.status == "error",
    )
