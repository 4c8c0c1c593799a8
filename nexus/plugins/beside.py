"""What plugins do beside a command that is not theirs: check its arguments, and hear of what happens.

Nothing here ends a command but a validator that refuses its arguments: what is broken or slow is a warning on stderr.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from nexus.output.log import log_line
from nexus.plugins.catalog import Known
from nexus.plugins.runner import PluginRunner
from nexus.schemas.command import ExecutionContext
from nexus.schemas.context import ContextChange
from nexus.schemas.envelope import Envelope
from nexus.schemas.errors import NexusError, ReportedError
from nexus.schemas.specification import CommandSpec
from nexus.schemas.stream import Lines, OutputStream, StopReason

if TYPE_CHECKING:
    from nexus.plugins.observed import ObservedSessions

_OF_SESSIONS = ("session.created", "session.closed", "session.interrupted", "session.restarted")
_REFUSALS = ("validation", "permission", "conflict")
"""The types of errors by which a validator refuses; whatever else it raises is a fault of its own."""


class Beside:
    """The hooks and validators of one command."""

    def __init__(self, runner: PluginRunner, spec: CommandSpec, context: ExecutionContext[Any]) -> None:
        self._runner = runner
        self._spec = spec
        self._context = context
        self._path = ".".join(spec.path)
        self._begun = time.monotonic()

    def _concerned(self, event: str) -> list[tuple[Known, dict[str, Any]]]:
        hooks = self._runner.catalog.hooks.get(event, ())
        return [(known, hook) for known, hook in hooks if _matches(hook.get("commands", ["*"]), self._path)]

    async def validate(self, arguments: Mapping[str, Any]) -> None:
        """Have every validator look at the arguments. Raises what one of them refuses them with."""
        for known, validators in self._runner.catalog.contributing("contributes", "validators"):
            for validator in validators:
                if not _matches([validator["command"]], self._path):
                    continue
                given = {"command": " ".join(self._spec.path), "arguments": dict(arguments)}
                try:
                    await self._runner.call(
                        known, validator["call"], given, self._context, validator.get("timeout", 2.0)
                    )
                except ReportedError as error:
                    if error.entry().type in _REFUSALS:
                        raise
                    await self._warn(known, "a validator", error)
                except NexusError as error:
                    await self._warn(known, "a validator", error)

    async def before(self, arguments: Mapping[str, Any]) -> None:
        """Tell that the command is about to run."""
        await self._tell("command.before", {"arguments": dict(arguments)})

    async def after(self, envelope: Envelope) -> None:
        """Tell how the command ended."""
        code = envelope.errors[0].code if envelope.errors else None
        await self._tell("command.after", {"status": envelope.status, "code": code, **self._taken()})

    async def changed(self, changes: Sequence[ContextChange]) -> None:
        """Tell what the command changed in the context."""
        if changes:
            told = [change.model_dump(mode="json", by_alias=True) for change in changes]
            await self._tell("context.changed", {"changes": told, "context": self._context.contexts.name})

    async def session(self, event: str, given: Mapping[str, Any]) -> None:
        """Tell what became of a session."""
        await self._tell(event, given)

    def stream(self, stream: OutputStream) -> OutputStream:
        """Return the stream, of whose end is told."""
        return _Told(stream, self) if self._concerned("command.after") else stream

    async def ended(self, status: int) -> None:
        """Tell that the command's stream has ended."""
        await self._tell("command.after", {"status": "error" if status else "ok", "code": None, **self._taken()})

    def sessions(self) -> "ObservedSessions | None":
        """Return the way to sessions on which plugins hear, or None where none of them does."""
        if self._context.sessions is None or not any(self._concerned(event) for event in _OF_SESSIONS):
            return None
        from nexus.plugins.observed import ObservedSessions

        return ObservedSessions(self._context.sessions, self.session)

    def _taken(self) -> dict[str, Any]:
        return {"durationMs": round((time.monotonic() - self._begun) * 1000, 3)}

    async def _tell(self, event: str, given: Mapping[str, Any]) -> None:
        for known, hook in self._concerned(event):
            told = {"event": event, "command": " ".join(self._spec.path), **given}
            try:
                await self._runner.call(known, hook["call"], told, self._context, hook.get("timeout", 1.0))
            except NexusError as error:
                await self._warn(known, f"the hook {event}", error)

    async def _warn(self, known: Known, what: str, error: NexusError) -> None:
        if self._context.stderr is not None:
            entry = error.entry()
            sentence = f"{what.capitalize()} of the plugin {known.name} did not work: {entry.message} [{entry.code}]"
            # Nobody reads stderr: then nobody is warned.
            with suppress(NexusError):
                await self._context.stderr.write(log_line("warning", sentence, self._context.request_id))


def _matches(patterns: Sequence[str], path: str) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


class _Told:
    """A stream whose end is told to plugins."""

    def __init__(self, stream: OutputStream, beside: Beside) -> None:
        self._stream = stream
        self._beside = beside
        self._ended = False

    @property
    def exit_status(self) -> int:
        """The stream's."""
        return self._stream.exit_status

    def __getattr__(self, name: str) -> Any:
        # The place of a session's stream, by which it is taken up again.
        return getattr(self._stream, name)

    async def __aiter__(self) -> AsyncIterator[Lines]:
        async for lines in self._stream:
            yield lines

    def stop(self, reason: StopReason) -> None:
        """Stop the stream."""
        self._stream.stop(reason)

    async def aclose(self) -> None:
        """Close the stream, then tell of it."""
        await self._stream.aclose()
        if not self._ended:
            self._ended = True
            await self._beside.ended(self.exit_status)
