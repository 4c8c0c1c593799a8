"""Processes: those that the kernel started, and your others by pid."""

import secrets
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.places import absolute
from nexus.handlers.session.own import own_stream
from nexus.handlers.session.streams import (
    SESSION_ERRORS,
    STREAM_ERRORS,
    STREAM_EVENTS,
    Collected,
    StreamArguments,
    TransportArguments,
    client_of,
    collected,
)
from nexus.handlers.surroundings import surroundings_of
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import Conflict, NotFound, OutcomeUnknown, PermissionDenied
from nexus.schemas.page import Page
from nexus.schemas.process import (
    MonitorOptions,
    ProcessDetails,
    ProcessInfo,
    ProcessOptions,
    ProcessState,
    Signalled,
)
from nexus.schemas.secret import SecretNames
from nexus.schemas.session import NewSession, Session, SessionContext
from nexus.schemas.stream import OutputStream
from nexus.sessions.client import SessionClient

PROCESS = "/api/debug/processes/{id}"
STARTED = ("nexus debug process start -- sleep 60",)
"""What the examples stand on."""


class ProcessArguments(Arguments):
    """One process."""

    id: str | None = Field(
        default=None, min_length=1, max_length=200, description="Its id, as process list and start tell it."
    )
    pid: int | None = Field(default=None, ge=1, description="The process with this number.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.id is None) == (self.pid is None):
            raise PydanticCustomError("one_process", "Give exactly one of --id and --pid.")
        return self

    @property
    def reference(self) -> str:
        return self.id or str(self.pid)


class StartArguments(TransportArguments):
    command: list[str] = Field(
        min_length=1,
        description="What to run, with its arguments; no shell stands between.",
        json_schema_extra={"positional": True, "rest": True, "metavar": "COMMAND"},
    )
    cwd: str | None = Field(default=None, max_length=4096, description="Where it runs; else where you are.")
    secret: SecretNames = Field(default_factory=list, description="Secrets that it finds in its environment.")
    grace: float = Field(
        default=30.0, ge=0, le=86_400, description="Seconds in which an ended process can be restarted."
    )


class ListProcessesArguments(ListArguments):
    filter_type: Literal["started", "terminal", "other", "all"] | None = Field(
        default=None, description="Which ones; else all that the kernel started. other: your processes beside them."
    )
    filter_status: ProcessState | None = Field(default=None, description="Only those that are so.")


class MonitorArguments(ProcessArguments, StreamArguments):
    follow: bool = Field(default=False, description="Go on until the process ends; else one sample is printed.")
    interval: float = Field(default=1.0, ge=0.05, le=3600, description="Seconds between two samples.")


class KillArguments(ProcessArguments):
    signal: str = Field(default="SIGTERM", max_length=20, description="The signal, by name or number.")
    everyone: bool = Field(default=False, description="Send it to all in the process's session.")


class StartProcess(CommandHandler[StartArguments, ProcessInfo]):
    """Start a process that goes on when this command, the kernel or your login ends.

    What it prints is kept, a line an event: nexus debug log tail --id ID --follow.
    """

    path = ("debug", "process", "start")
    arguments = StartArguments
    result = ProcessInfo
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*SESSION_ERRORS, NotFound, PermissionDenied, OutcomeUnknown)
    examples = (Example(line="nexus debug process start -- sleep 60", shows="A process of its own"),)

    async def execute(self, context: ExecutionContext[StartArguments]) -> Outcome[ProcessInfo]:
        args = context.args
        process_id = f"prc_{secrets.token_hex(10)}"
        options = ProcessOptions(
            argv=tuple(args.command),
            cwd=absolute(args.cwd or ".", context.cwd, context.environment),
            grace_seconds=args.grace,
            secrets=args.secret,
        )
        client = await client_of(context)
        session = await client.create(
            NewSession(
                type="debug-stream",
                context=SessionContext(process_id=process_id),
                transport=client.transport.name,
                options=options.model_dump(mode="json", by_alias=True),
                surroundings=surroundings_of(context),
            )
        )
        process = await context.api.get(PROCESS, ProcessInfo, at={"id": process_id})
        process.session_id = session.session_id
        return Outcome(process, message=f"Follow it: nexus debug log tail --id {process_id} --follow")


class ListProcesses(CommandHandler[ListProcessesArguments, Page[ProcessInfo]]):
    """List the processes that the kernel started; with --filter-type your others too."""

    path = ("debug", "process", "list")
    arguments = ListProcessesArguments
    result = Page[ProcessInfo]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus debug process list", shows="What was started here", needs=STARTED),
        Example(line="nexus debug process list --filter-type all --sort -memoryBytes --limit 5", shows="The largest"),
    )

    async def execute(self, context: ExecutionContext[ListProcessesArguments]) -> Page[ProcessInfo]:
        query = query_of(context.args)
        renamed = {"filterType": "kind", "filterStatus": "status"}
        asked = {renamed.get(name, name): value for name, value in query.items()}
        return await context.api.get("/api/debug/processes", Page[ProcessInfo], query=asked)


class ViewProcess(CommandHandler[ProcessArguments, ProcessInfo]):
    """Show a process: its command, state, memory, processor time."""

    path = ("debug", "process", "view")
    arguments = ProcessArguments
    result = ProcessInfo
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (Example(line="nexus debug process view --pid $$", shows="The shell that you type in"),)

    async def execute(self, context: ExecutionContext[ProcessArguments]) -> ProcessInfo:
        return await context.api.get(PROCESS, ProcessInfo, at={"id": context.args.reference})


class InspectProcess(CommandHandler[ProcessArguments, ProcessDetails]):
    """Tell all that can be known of a process: files, sockets, children, times."""

    path = ("debug", "process", "inspect")
    arguments = ProcessArguments
    result = ProcessDetails
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (Example(line="nexus debug process inspect --pid $$", shows="The shell that you type in"),)

    async def execute(self, context: ExecutionContext[ProcessArguments]) -> ProcessDetails:
        return await context.api.get(f"{PROCESS}/inspect", ProcessDetails, at={"id": context.args.reference})


class MonitorProcess(CommandHandler[MonitorArguments, OutputStream | Collected]):
    """Sample a process: its processor time, memory, threads, files and children, an event each time."""

    path = ("debug", "process", "monitor")
    arguments = MonitorArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING})
    errors = (*STREAM_ERRORS, NotFound)
    events = STREAM_EVENTS
    examples = (
        Example(line="nexus debug process monitor --pid $$", shows="One sample"),
        Example(
            line="nexus debug process monitor --pid $$ --follow --interval 0.2 --limit 3", shows="One after another"
        ),
    )

    async def execute(self, context: ExecutionContext[MonitorArguments]) -> OutputStream | Collected:
        args = context.args
        options = MonitorOptions(
            monitor=args.reference,
            interval_seconds=args.interval,
            samples=None if args.follow and not args.collect else 1,
        )
        stream = await own_stream(context, lambda client: debug_stream(client, args.reference, options))
        return await collected(stream) if args.collect else stream


class KillProcess(CommandHandler[KillArguments, Signalled]):
    """Send a signal to a process: SIGTERM, unless --signal says another.

    A process that took the number of one that ended meanwhile is not signalled.
    """

    path = ("debug", "process", "kill")
    arguments = KillArguments
    result = Signalled
    effects = frozenset({Effect.WRITE})
    change = "updated"
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="nexus debug process kill --id \"$(nexus debug process list | jq -r '.data.items[0].id')\"",
            shows="End what was started",
            needs=STARTED,
        ),
    )

    async def execute(self, context: ExecutionContext[KillArguments]) -> Signalled:
        args = context.args
        query = {"signal": args.signal, "everyone": args.everyone}
        return await context.api.delete(PROCESS, Signalled, at={"id": args.reference}, query=query)


async def debug_stream(client: SessionClient, reference: str | None, options: Any) -> Session:
    """Open a debug-stream with these options."""
    return await client.create(
        NewSession(
            type="debug-stream",
            context=SessionContext(process_id=reference),
            transport=client.transport.name,
            options=options.model_dump(mode="json", by_alias=True, exclude_none=True),
        )
    )
