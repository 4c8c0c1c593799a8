"""The one path of a command, whoever calls: context, arguments, permission, session, execution, update, answer.

CLI, MCP, batch and HTTP are fronts on this: they say which command, with which raw arguments and flags.
"""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic import ValidationError as ModelError
from pydantic_core import from_json

from nexus.call import Call
from nexus.config.configuration import TomlConfiguration
from nexus.dispatch.again import check_again
from nexus.dispatch.asking import Asking, Telling
from nexus.dispatch.change import change_of
from nexus.dispatch.confirmation import confirm
from nexus.dispatch.faults import execution_error
from nexus.dispatch.inputs import arguments_from_input
from nexus.dispatch.permission import check_permission, stays_here, told_where
from nexus.dispatch.reach import Reach
from nexus.dispatch.runtime import Runtime
from nexus.dispatch.surroundings import Surroundings
from nexus.dispatch.validation import is_text, validation_error
from nexus.output.shape import shaped
from nexus.plugins.store import CallerPlugins
from nexus.registry.registry import Handler
from nexus.schemas.command import Arguments, CommandSpec, ExecutionContext, ForwardingHandler, GlobalFlags, Outcome
from nexus.schemas.context import ContextChange, ContextState, ContextUpdate
from nexus.schemas.envelope import Envelope, ErrorEntry, failure, success
from nexus.schemas.errors import (
    CommandNotFound,
    ConfigInvalid,
    NexusError,
    OutputInvalid,
    TimeoutExceeded,
    ValidationError,
)
from nexus.schemas.front import Forward

if TYPE_CHECKING:
    from nexus.plugins.beside import Beside
    from nexus.schemas.session import Session
    from nexus.schemas.stream import OutputStream


@dataclass(frozen=True, slots=True)
class Invocation:
    """One command to run: its raw arguments by name, the global flags, and who calls."""

    spec: CommandSpec
    arguments: dict[str, Any]
    flags: GlobalFlags
    call: Call
    config: TomlConfiguration
    request_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The envelope, and what is to be said on stderr beside it: warnings always, details to who asked for them."""

    envelope: Envelope
    warnings: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """0, or the status that the first error names."""
        if not self.envelope.errors:
            return 0
        status = self.envelope.errors[0].details.get("exitCode", 1)
        return status if isinstance(status, int) else 1


async def dispatch(invocation: Invocation, runtime: Runtime) -> "Answer | OutputStream | Forward":
    """Run a command; nothing but cancellation is raised.

    Returns its answer, the stream of one that streams, or the line of one that stands for another.
    """
    execution = _Execution(invocation, runtime)
    try:
        envelope = await execution.run()
        if not isinstance(envelope, Envelope):
            return envelope
    except NexusError as error:
        envelope = failure(execution.entries(error), invocation.request_id)
    except Exception as fault:  # noqa: BLE001 -- the contract: whatever a handler raises becomes an envelope
        command = " ".join(invocation.spec.path)
        told = execution_error(fault, runtime.folders.state / "logs", invocation.request_id, command)
        envelope = failure([told.entry()], invocation.request_id)
    await execution.told(envelope)
    return Answer(envelope, execution.warnings, execution.details)


class _Execution:
    """One command on its way."""

    def __init__(self, invocation: Invocation, runtime: Runtime) -> None:
        self._invocation = invocation
        self._runtime = runtime
        self._surroundings: Surroundings | None = None
        self._beside: Beside | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._surroundings.contexts.warnings) if self._surroundings else ()

    @property
    def details(self) -> tuple[str, ...]:
        if not self._invocation.flags.verbose or self._surroundings is None:
            return ()
        handler = f"{self._invocation.spec.handler_id} ran in context {self._surroundings.contexts.name}"
        return (handler, *self._surroundings.api.calls)

    async def run(self) -> "Envelope | OutputStream | Forward":
        """Go the whole path. Raises what its steps raise, `TimeoutExceeded` when it takes too long."""
        asked = self._invocation
        self._surroundings = Surroundings(self._runtime, asked.call, asked.flags, asked.config, asked.request_id)
        seconds, said = self._bound(asked)
        bound = None if self._handler().lasts and not said else seconds
        try:
            async with asyncio.timeout(bound):
                return await self._answer(self._surroundings)
        except TimeoutError as error:
            raise TimeoutExceeded(seconds=seconds) from error

    @staticmethod
    def _bound(asked: Invocation) -> tuple[float, bool]:
        """Return how long the command may take, in seconds, and whether somebody said so."""
        try:
            setting = asked.config.get("runtime.timeout")
        except ConfigInvalid:
            # What mends a configuration must run under one that is at fault.
            if not stays_here(asked.spec):
                raise
            return float(asked.config.default("runtime.timeout")), False
        return float(setting.value), setting.source != "default"

    async def _answer(self, around: Surroundings) -> "Envelope | OutputStream | Forward":
        asked = self._invocation
        handler = self._handler()
        raw = dict(asked.arguments)
        if asked.flags.input is not None:
            raw = await arguments_from_input(asked.flags.input, asked.call, asked.spec) | raw
        reach = Reach(asked.spec, asked.flags, raw)
        await around.reach(needed=not stays_here(asked.spec))
        state = await self._context(handler, around)
        args = self._arguments(handler, raw)
        if isinstance(handler, ForwardingHandler):
            return handler.forward(args)
        check_permission(asked.spec, around)
        session = await self._session(around)
        context = self._execution_context(args, state, around)
        context.session = session
        beside = self._beside = self._plugins_beside(context)
        shown: dict[str, Any] = {}
        if beside is not None:
            from nexus.dispatch.dry_run import shown_arguments

            shown = shown_arguments(asked.spec, args)
            await beside.validate(shown)
        if asked.flags.dry_run:
            from nexus.dispatch.dry_run import dry_run

            return success(dry_run(asked.spec, args, state), asked.request_id, "Nothing was run.")
        check_again(asked.spec, asked.call)
        await confirm(asked.spec, asked.flags, asked.call)
        if beside is not None:
            await beside.before(shown)
        outcome = await _execute(handler, context)
        changes = await self._apply(outcome.context_update, around)
        if beside is not None:
            await beside.changed(changes)
        if is_stream(outcome.result):
            stream: OutputStream = outcome.result
            return stream if beside is None else beside.stream(stream)
        data = self._validated(handler, outcome.result)
        change = change_of(handler, outcome, data, changes)
        if change is not None:
            data["change"] = change
        if changes:
            data["contextChanges"] = [each.model_dump(mode="json", by_alias=True) for each in changes]
        kept = shaped(data, query=asked.flags.query, fields=asked.flags.fields)
        return success(reach.within(kept), asked.request_id, outcome.message)

    def _plugins_beside(self, context: ExecutionContext[Arguments]) -> "Beside | None":
        """Return what plugins do beside this command, None where none of them does anything."""
        extensions = self._runtime.extensions
        if extensions is None or not extensions.catalog.listens:
            return None
        from nexus.plugins.beside import Beside

        beside = Beside(extensions, self._invocation.spec, context)
        context.sessions = beside.sessions() or context.sessions
        return beside

    def entries(self, error: NexusError) -> list[ErrorEntry]:
        """Return an error as the envelope has it."""
        entries = error.entries()
        for entry in entries:
            if entry.details.get("hint") == ValidationError.hint:
                # Of all that there is, the help of this command.
                entry.details["hint"] = f"nexus help {' '.join(self._invocation.spec.path)}"
        around = self._surroundings
        return entries if around is None else told_where(entries, around)

    async def told(self, envelope: Envelope) -> None:
        """Tell plugins how the command ended."""
        if self._beside is not None:
            await self._beside.after(envelope)

    def _handler(self) -> Handler:
        handler = self._runtime.handlers.get_handler(self._invocation.spec.path)
        if handler is None:
            raise CommandNotFound(given=" ".join(self._invocation.spec.path), hint="nexus help")
        return handler

    async def _context(self, handler: Handler, around: Surroundings) -> ContextState:
        asked = self._invocation
        state, needs = around.contexts.load(), handler.required_context()
        if not needs:
            return state
        from nexus.dispatch.references import References

        return await References(around.api, asked.flags, asked.call.environment, state).effective(needs)

    async def _session(self, around: Surroundings) -> "Session | None":
        asked = self._invocation
        if asked.spec.session_type is None:
            return None
        from nexus.dispatch.session import session_of

        resumed = asked.call.printed is not None
        return await session_of(asked.spec, asked.flags, asked.call.environment, around.api, resumed=resumed)

    def _arguments(self, handler: Handler, raw: dict[str, Any]) -> Arguments:
        broken = [name for name, value in raw.items() if not is_text([name, value])]
        if broken:
            raise ValidationError.because("An argument holds half a character: no UTF-8.", expected="UTF-8")
        try:
            args: Arguments = handler.validate(raw)
        except ModelError as error:
            raise validation_error(error, self._invocation.spec.options, self._invocation.spec) from error
        return args

    def _execution_context(
        self, args: Arguments, state: ContextState, around: Surroundings
    ) -> ExecutionContext[Arguments]:
        asked = self._invocation
        return ExecutionContext(
            args=args,
            flags=asked.flags,
            context_state=state,
            config=around.config,
            contexts=around.contexts,
            catalog=self._runtime.index,
            api=around.api,
            stdin=asked.call.stdin,
            stderr=asked.call.stderr,
            plugins=CallerPlugins(self._runtime.plugins, asked.call.cwd, asked.call.environment),
            aliases=self._runtime.aliases,
            folders=self._runtime.folders,
            fronts=self._runtime.fronts(asked.call, asked.flags, self._runtime),
            cwd=asked.call.cwd,
            environment=asked.call.environment,
            request_id=asked.request_id,
            token=around.token,
            umask=asked.call.umask,
            limits=asked.call.limits,
            printed=asked.call.printed,
            sessions=around,
            bytes=around,
            progress=around.progress,
            terminal=asked.call.terminal if asked.flags.output is None else None,
            ask=Asking(asked.call),
            tell=Telling(asked.call, asked.request_id),
            sign_ins=around.sign_ins if asked.spec.path[:1] == ("settings",) else None,
        )

    async def _apply(self, update: ContextUpdate | None, around: Surroundings) -> list[ContextChange]:
        return await around.contexts.apply(update) if update is not None else []

    def _validated(self, handler: Handler, result: Any) -> dict[str, Any]:
        """Hold the result against the command's own schema before it leaves. Raises `OutputInvalid`."""
        model = handler.result
        try:
            if not isinstance(result, model):
                result = model.model_validate(result)
            written = result.model_dump_json(by_alias=True, warnings="error")
            checked = model.model_validate_json(written)
            # What is of the model itself is written as the model writes it: it need not be written again.
            as_written = type(result) is model
            data: dict[str, Any] = from_json(written) if as_written else checked.model_dump(mode="json", by_alias=True)
        except ValueError as error:
            raise OutputInvalid(reason=" ".join(str(error).split())[:300]) from error
        return data


def is_stream(result: Any) -> bool:
    """Say whether a handler's result is a stream of lines and no model."""
    return not isinstance(result, BaseModel) and hasattr(result, "__aiter__")


@cache
def _is_async(execute: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(execute)


async def _execute(handler: Handler, context: ExecutionContext[Arguments]) -> Outcome[Any]:
    """Run the handler: `async def` on the loop, `def` in a thread, so that one that blocks stalls no other."""
    if _is_async(type(handler).execute):
        result = await handler.execute(context)
    else:
        result = await asyncio.to_thread(handler.execute, context)
    return result if isinstance(result, Outcome) else Outcome(result)
