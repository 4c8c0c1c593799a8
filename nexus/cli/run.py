"""The command-line front: one call in, its bytes out, an exit status back."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from nexus.call import Call
from nexus.cli.called import called
from nexus.cli.parse import Parsed, command_of, parse
from nexus.cli.signals import ENDED_BY
from nexus.dispatch.dispatcher import Answer, Invocation, dispatch
from nexus.dispatch.faults import execution_error
from nexus.dispatch.permission import stays_here
from nexus.dispatch.runtime import Runtime
from nexus.dispatch.surroundings import configuration_of, request_id_of
from nexus.output.log import log_line
from nexus.output.render import render
from nexus.output.screen import Screen
from nexus.registry.flags import OUTPUT_FORMATS
from nexus.schemas.command import GlobalFlags
from nexus.schemas.envelope import failure, new_request_id
from nexus.schemas.errors import NexusError, NotOffered, ReaderGone
from nexus.schemas.front import Forward

if TYPE_CHECKING:
    from nexus.schemas.stream import OutputStream

_CLEANUP_SECONDS = 2.0


async def run(call: Call, runtime: Runtime) -> int:
    """Run one command line: print exactly one answer, return the exit status. Nothing is raised."""
    try:
        return await _CommandLine(call, await runtime.at(call.cwd)).run()
    except ReaderGone as gone:
        return gone.exit_status


class _CommandLine:
    """One command line on its way; what its words have not said yet is what it would be without them."""

    def __init__(self, call: Call, runtime: Runtime) -> None:
        self._call = call
        self._runtime = runtime
        self._flags = GlobalFlags()
        self._config = configuration_of(runtime, call, self._flags)
        self._request_id = new_request_id()
        self._path = ""

    async def run(self) -> int:
        """Answer, and return the exit status. Raises `ReaderGone`."""
        try:
            invocation = self._read()
            answer = await self._until_signalled(invocation)
            if isinstance(answer, Forward):
                invocation = self._read_line(answer)
                answer = _not_again(await self._until_signalled(invocation))
            if not isinstance(answer, Answer):
                from nexus.cli.streaming import print_stream

                return await print_stream(answer, self._call, _seconds_of_stream(invocation))
        except NexusError as error:
            answer = Answer(failure(error.entries(), self._request_id))
        except Exception as fault:  # noqa: BLE001 -- the contract: a bug of ours is an envelope too
            told = execution_error(fault, self._runtime.folders.state / "logs", self._request_id, "nexus")
            answer = Answer(failure([told.entry()], self._request_id))
        await self._print(answer)
        return answer.exit_status

    def _read(self) -> Invocation:
        """Read the words. Raises what parsing raises, with the output format known if the words say it."""
        self._use(_flags_in_vain(self._call.argv))
        parsed = parse(self._runtime.index, list(self._call.argv), abbreviations=True)
        return self._understood(parsed)

    def _read_line(self, forward: Forward) -> Invocation:
        """Read the line that takes the place of the words. Raises what parsing raises."""
        from nexus.cli.line import parse_line

        words, parsed = parse_line(self._runtime.index, forward.line, self._flags)
        self._call = replace(self._call, argv=tuple(words))
        return self._understood(parsed)

    def _understood(self, parsed: Parsed) -> Invocation:
        self._use(parsed.flags)
        self._request_id = request_id_of(parsed.flags, self._request_id)
        spec, arguments = command_of(self._runtime.index, parsed)
        self._path = ".".join(spec.path)
        if parsed.flags.output is None and not stays_here(spec):
            # A format that cannot be is told, and not taken for JSON.
            self._config.value("output.format")
        return Invocation(spec, arguments, parsed.flags, self._call, self._config, self._request_id)

    def _use(self, flags: GlobalFlags) -> None:
        if flags != self._flags:
            self._flags = flags
            self._config = configuration_of(self._runtime, self._call, flags)

    async def _until_signalled(self, invocation: Invocation) -> "Answer | OutputStream | Forward":
        """Dispatch; the first signal that ends a command cancels the work, which has two seconds to clean up."""
        work = asyncio.create_task(dispatch(invocation, self._runtime))
        signalled = asyncio.create_task(self._call.signals.next())
        try:
            while True:
                await asyncio.wait((work, signalled), return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    return await _begun(work.result(), signalled)
                ended_by = ENDED_BY.get(signalled.result())
                if ended_by is not None:
                    raise ended_by
                signalled = asyncio.create_task(self._call.signals.next())
        finally:
            signalled.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait((work,), timeout=_CLEANUP_SECONDS)

    async def _print(self, answer: Answer) -> None:
        call = self._call
        answer = replace(answer, envelope=called(answer.envelope, self._runtime.program, data=self._path == "schema"))
        for warning in answer.warnings:
            await call.stderr.write(log_line("warning", warning, answer.envelope.request_id))
        for detail in answer.details:
            await call.stderr.write(log_line("debug", detail, answer.envelope.request_id))
        screen = Screen(call.stdout.is_terminal, call.columns, _wants_colour(call))
        output = self._output()
        data = await self._written_by_plugin(answer, output)
        if data is None:
            data = render(answer.envelope, output if output in OUTPUT_FORMATS else "json", screen)
        await call.stdout.write(data)

    async def _written_by_plugin(self, answer: Answer, output: str) -> bytes | None:
        """Return the answer as a plugin writes it, None where none does."""
        extensions = self._runtime.extensions
        if extensions is None or not extensions.catalog.writes(output):
            return None
        from nexus.output.render import plain
        from nexus.plugins.caller import BareCaller
        from nexus.plugins.formats import written

        call = self._call
        caller = BareCaller(self._flags, self._config, call.cwd, call.environment, self._request_id, call.stderr)
        return await written(extensions, output, self._path, plain(answer.envelope), caller)

    def _output(self) -> str:
        """Return the format; a configuration that cannot be read must not hide its own error."""
        if self._flags.output is not None:
            return self._flags.output
        try:
            return str(self._config.get("output.format").value)
        except NexusError:
            return "json"


async def _begun(
    answer: "Answer | OutputStream | Forward", signalled: "asyncio.Task[int]"
) -> "Answer | OutputStream | Forward":
    """Return what a command came to; a stream is not begun when the signal that ends it came in the same moment."""
    ended_by = ENDED_BY.get(signalled.result()) if signalled.done() else None
    if ended_by is not None and not isinstance(answer, Answer | Forward):
        await answer.aclose()
        raise ended_by
    return answer


def _not_again(answer: "Answer | OutputStream | Forward") -> "Answer | OutputStream":
    if isinstance(answer, Forward):
        raise NotOffered(command="exec")
    return answer


def _seconds_of_stream(invocation: Invocation) -> float | None:
    """A stream of a session ends at `--timeout`; batch and MCP give it to each command that they run."""
    return None if invocation.spec.command_line_only else invocation.flags.timeout


def _flags_in_vain(argv: tuple[str, ...]) -> GlobalFlags:
    """Find --output in words that could not be parsed, so that their error is told in the form that was asked for."""
    for position, token in enumerate(argv):
        name, has_value, value = token.partition("=")
        if name in ("--output", "-o"):
            wanted = value if has_value else next(iter(argv[position + 1 : position + 2]), None)
            return GlobalFlags(output=wanted if wanted in OUTPUT_FORMATS else None)
    return GlobalFlags()


def _wants_colour(call: Call) -> bool:
    """Colour only on a terminal that can, and for people who want it (no-color.org)."""
    environment = call.environment
    return call.stdout.is_terminal and not environment.get("NO_COLOR") and environment.get("TERM", "dumb") != "dumb"
