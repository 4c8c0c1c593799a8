"""The command-line front: one call in, its bytes out, an exit status back."""

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nexus.call import Call
from nexus.cli.parse import Parsed, parse
from nexus.cli.signals import ENDED_BY
from nexus.dispatch.dispatcher import Answer, Invocation, dispatch
from nexus.dispatch.faults import execution_error
from nexus.dispatch.runtime import Runtime
from nexus.dispatch.surroundings import configuration_of, request_id_of
from nexus.output.render import Screen, render
from nexus.schemas.command import CommandSpec, GlobalFlags
from nexus.schemas.envelope import Envelope, failure, new_request_id
from nexus.schemas.errors import NexusError, ReaderGone
from nexus.schemas.model import rfc3339

if TYPE_CHECKING:
    from nexus.sessions.stream import LineStream

_CLEANUP_SECONDS = 2.0


async def run(call: Call, runtime: Runtime) -> int:
    """Run one command line: print exactly one answer, return the exit status. Nothing is raised."""
    try:
        return await _run(call, runtime)
    except ReaderGone as gone:
        return gone.exit_status


async def _run(call: Call, runtime: Runtime) -> int:
    answer: Answer | LineStream
    request_id = new_request_id()
    flags = GlobalFlags()
    try:
        parsed = parse(runtime.index, list(call.argv), abbreviations=True)
        flags = parsed.flags
        request_id = request_id_of(flags)
        answer = await _until_signalled(call, runtime, parsed, request_id)
        if not isinstance(answer, Answer):
            from nexus.cli.streaming import print_stream

            return await print_stream(answer, call, parsed.flags.timeout)
    except NexusError as error:
        answer = Answer(failure(error.entries(), request_id))
    except Exception as fault:  # noqa: BLE001 -- the contract: a bug of ours is an envelope too
        told = execution_error(fault, runtime.folders.state / "logs", request_id, "nexus")
        answer = Answer(failure([told.entry()], request_id))
    await _print(call, runtime, flags, answer)
    return answer.exit_status


async def _until_signalled(call: Call, runtime: Runtime, parsed: Parsed, request_id: str) -> "Answer | LineStream":
    """Dispatch; the first signal that ends a command cancels the work, which has two seconds to clean up."""
    spec, arguments = _asked_for(parsed, runtime)
    work = asyncio.create_task(dispatch(Invocation(spec, arguments, parsed.flags, call, request_id), runtime))
    signalled = asyncio.create_task(call.signals.next())
    try:
        while True:
            await asyncio.wait((work, signalled), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            ended_by = ENDED_BY.get(signalled.result())
            if ended_by is not None:
                raise ended_by
            signalled = asyncio.create_task(call.signals.next())
    finally:
        signalled.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait((work,), timeout=_CLEANUP_SECONDS)


def _asked_for(parsed: Parsed, runtime: Runtime) -> tuple[CommandSpec, dict[str, object]]:
    """Return the command to run: the one that was named, or help or version about it."""
    node, flags = parsed.node, parsed.flags
    name = "version" if flags.version else "help" if flags.help and node.path != ("help",) else None
    if name is None:
        if not isinstance(node, CommandSpec):
            raise LookupError("a group was not turned into help")
        return node, parsed.arguments
    built_in = runtime.index.node((name,))
    if not isinstance(built_in, CommandSpec):
        raise LookupError(f"the built-in command {name} is not in the index")
    return built_in, {"path": list(node.path)} if name == "help" else {}


def _output_format(call: Call, runtime: Runtime, flags: GlobalFlags) -> tuple[str, str]:
    """Return the format and the theme's mode; a configuration that cannot be read must not hide its own error."""
    try:
        config = configuration_of(runtime, call, flags)
        return str(config.get("output.format").value), str(config.get("theme.mode").value)
    except NexusError:
        return flags.output or "json", "auto"


async def _print(call: Call, runtime: Runtime, flags: GlobalFlags, answer: Answer) -> None:
    if flags == GlobalFlags() and answer.envelope.status == "error":
        flags = _flags_in_vain(call.argv)
    for warning in answer.warnings:
        await call.stderr.write(log_line("warning", warning, answer.envelope))
    output, mode = _output_format(call, runtime, flags)
    screen = Screen(call.stdout.is_terminal, call.columns, _wants_colour(call), mode)
    try:
        content = render(answer.envelope, output, screen)
    except NexusError:
        content = render(answer.envelope, "json", screen)
    await call.stdout.write(content)


def _flags_in_vain(argv: tuple[str, ...]) -> GlobalFlags:
    """Find --output in words that could not be parsed, so that their error is told in the form that was asked for."""
    for position, token in enumerate(argv):
        name, has_value, value = token.partition("=")
        if name in ("--output", "-o"):
            wanted = value if has_value else next(iter(argv[position + 1 : position + 2]), None)
            return GlobalFlags(output=wanted if wanted in ("human", "table", "yaml", "json") else None)
    return GlobalFlags()


def _wants_colour(call: Call) -> bool:
    """Colour only on a terminal that can, and for people who want it (no-color.org)."""
    environment = call.environment
    return call.stdout.is_terminal and not environment.get("NO_COLOR") and environment.get("TERM", "dumb") != "dumb"


def log_line(level: str, message: str, envelope: Envelope) -> bytes:
    """Return one log record as stderr carries it: a JSON object a line."""
    record = {
        "timestamp": rfc3339(datetime.now(UTC)),
        "level": level,
        "message": message,
        "requestId": envelope.request_id,
    }
    return json.dumps(record).encode() + b"\n"
