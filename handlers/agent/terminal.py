"""Terminals of a project: shells and commands that go on without you."""

import secrets
from collections.abc import Awaitable
from typing import Any

from pydantic import Field

from nexus.handlers.listing import ListArguments
from nexus.handlers.session.own import own_stream
from nexus.handlers.session.streams import (
    SESSION_ERRORS,
    STREAM_ERRORS,
    STREAM_EVENTS,
    Collected,
    StreamArguments,
    TransportArguments,
    changed,
    client_of,
    collected,
    stream_of,
)
from nexus.handlers.surroundings import surroundings_of
from nexus.handlers.texts import bytes_given
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import (
    NotFound,
    OutcomeUnknown,
    PathOutsideRoot,
    PermissionDenied,
    SessionNotFound,
    ValidationError,
)
from nexus.schemas.page import Page
from nexus.schemas.secret import SecretNames
from nexus.schemas.session import (
    MOST_INPUT,
    InputAccepted,
    NewSession,
    Session,
    SessionContext,
    SessionInput,
    SessionQuery,
    SessionView,
)
from nexus.schemas.stream import OutputStream
from nexus.schemas.terminal import GRACE_SECONDS, IDLE_SECONDS, TerminalOptions
from nexus.sessions.client import SessionClient

NEEDED = ("nexus agent project create --name demo", "nexus agent project select --name demo")
"""What the examples below stand on."""

TERMINAL_ERRORS = (*SESSION_ERRORS, NotFound, PathOutsideRoot, PermissionDenied, OutcomeUnknown)


class PlaceArguments(Arguments):
    """Where a terminal's program starts, and with what."""

    cwd: str = Field(default=".", min_length=1, max_length=4096, description="A folder of the project.")
    shell: str | None = Field(
        default=None, min_length=1, max_length=4096, description="The shell; else SHELL says it, else your account."
    )
    cols: int = Field(
        default=80, ge=1, le=10_000, description="Characters a line.", json_schema_extra={"aliases": ["columns"]}
    )
    rows: int = Field(default=24, ge=1, le=10_000, description="Lines.")
    secret: SecretNames = Field(default_factory=list, description="Secrets that it finds in its environment.")
    grace: float = Field(
        default=GRACE_SECONDS,
        ge=0,
        le=86_400,
        description="Seconds in which an ended terminal can be restarted.",
    )


class OpenArguments(PlaceArguments, TransportArguments):
    idle_timeout: float = Field(
        default=IDLE_SECONDS, ge=0, description="Close it after so many seconds without anything; 0 never does."
    )


class RunArguments(PlaceArguments, StreamArguments):
    command: str = Field(min_length=1, max_length=100_000, description="What the shell runs.")
    detach: bool = Field(default=False, description="Answer with the session at once; the command goes on.")
    exit_code: bool = Field(default=False, description="Exit with the command's own exit code.")


class AttachArguments(StreamArguments):
    """How a terminal's stream is printed."""


class SendArguments(TransportArguments):
    text: str = Field(
        max_length=MOST_INPUT,
        description="What to type; - reads standard input.",
        json_schema_extra={"positional": True, "stdin": True},
    )
    enter: bool = Field(default=False, description="Press the return key behind it.")


class ListTerminalsArguments(ListArguments, TransportArguments):
    all: bool = Field(default=False, description="Those that have ended too.")


class OpenTerminal(CommandHandler[OpenArguments, Session]):
    """Open a shell in a terminal of the project. It goes on when this command, the kernel or your login ends.

    It closes when its shell exits, when it is closed, and after --idle-timeout seconds in which nobody reads it,
    nothing comes or goes, and no job runs.
    """

    path = ("agent", "terminal", "open")
    arguments = OpenArguments
    result = Session
    effects = frozenset({Effect.WRITE})
    change = "created"
    context = ("project",)
    errors = TERMINAL_ERRORS
    examples = (
        Example(line="nexus agent terminal open", shows="A shell in the project's folder", needs=NEEDED),
        Example(line="nexus agent terminal open --cols 120 --rows 40", shows="A larger one", needs=NEEDED),
    )

    async def execute(self, context: ExecutionContext[OpenArguments]) -> Outcome[Session]:
        args = context.args
        session = await opened(context, await client_of(context), args, idle_seconds=args.idle_timeout or None)
        hint = f"nexus agent terminal attach --session-id {session.session_id}"
        return Outcome(session, message=f"The terminal is open. Attach to it: {hint}")


class RunInTerminal(CommandHandler[RunArguments, OutputStream | Collected]):
    """Run one command in a terminal of its own, and print what it prints until it ends.

    The stream's close has its exit code; --exit-code passes it on. An interrupt, or --timeout, ends the command: TERM,
    then KILL. With --detach the command goes on by itself. With --session-id it is typed into that terminal's shell,
    which keeps what it changes there and stays open; an interrupt is a ^C.
    """

    path = ("agent", "terminal", "run")
    arguments = RunArguments
    result = Collected
    effects = frozenset({Effect.WRITE, Effect.STREAMING})
    change = "created"
    context = ("project",)
    session_type = "terminal"
    errors = (*STREAM_ERRORS, *TERMINAL_ERRORS)
    events = STREAM_EVENTS
    examples = (
        Example(line="nexus agent terminal run --command 'ls -l'", shows="Events, and the exit code", needs=NEEDED),
        Example(line="nexus agent terminal run --command 'ls -l' --collect", shows="One envelope", needs=NEEDED),
    )

    async def execute(
        self, context: ExecutionContext[RunArguments]
    ) -> OutputStream | Collected | Outcome[OutputStream | Collected]:
        args = context.args
        if context.session is not None:
            return Outcome(await self._in_open_one(context, context.session), change="updated")

        def make(client: SessionClient) -> Awaitable[Session]:
            return opened(context, client, args, command=args.command, timeout_seconds=context.flags.timeout)

        if args.detach:
            session = await make(await client_of(context))
            return Collected(session_id=session.session_id, epoch=1, last_seq=0, truncated=False, events=[])
        stream = await own_stream(context, make, pass_exit_code=args.exit_code)
        return await collected(stream) if args.collect else stream

    async def _in_open_one(self, context: ExecutionContext[RunArguments], session: Session) -> OutputStream | Collected:
        from nexus.handlers.agent.typed import type_command, typed_stream

        args = context.args
        if given := sorted(args.model_fields_set & set(PlaceArguments.model_fields)):
            raise ValidationError.because(
                f"--{given[0]} is for a new terminal, and --session-id names one that is open.", field=given[0]
            )
        client = await client_of(context)
        if args.detach:
            # A mark of its own: whoever runs the same command next must not take this one's end for theirs.
            before = await type_command(context, client, session, args.command, secrets.token_hex(12))
            here = {"epoch": before.epoch, "last_seq": before.newest}
            return Collected(session_id=session.session_id, **here, truncated=False, events=[])
        stream = await typed_stream(context, client, session, args.command, pass_exit_code=args.exit_code)
        return await collected(stream) if args.collect else stream


class AttachTerminal(CommandHandler[AttachArguments, OutputStream | Collected]):
    """Be at a terminal: the one that --session-id names, else the project's active one.

    Every key goes to its program, ^C too; ^\\ alone detaches, and the program goes on. Where stdin or stdout is no
    terminal, and with --output json, the terminal is followed instead: events are printed.
    """

    path = ("agent", "terminal", "attach")
    arguments = AttachArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING})
    context = ("project",)
    session_type = "terminal"
    errors = STREAM_ERRORS
    events = STREAM_EVENTS
    examples = (
        Example(
            line="nexus agent terminal attach --collect",
            shows="What it printed until now, as one envelope",
            needs=(*NEEDED, "nexus agent terminal open"),
        ),
    )

    async def execute(self, context: ExecutionContext[AttachArguments]) -> OutputStream | Collected:
        client = await client_of(context)
        session_id = await terminal_of(context, client)
        if context.terminal is not None and not context.args.collect:
            from nexus.handlers.agent.attached import AttachedTerminal

            return AttachedTerminal(client, context.api, session_id, context.terminal, context.stdin)
        stream = stream_of(client, session_id, context.args, follow=not context.args.collect, printed=context.printed)
        return await collected(stream) if context.args.collect else stream


class SendToTerminal(CommandHandler[SendArguments, InputAccepted]):
    """Type into a terminal: the one that --session-id names, else the project's active one.

    Under the same --idempotency-key the same input is applied once, however often it is sent.
    """

    path = ("agent", "terminal", "send")
    arguments = SendArguments
    result = InputAccepted
    effects = frozenset({Effect.WRITE})
    change = "updated"
    context = ("project",)
    session_type = "terminal"
    errors = TERMINAL_ERRORS
    examples = (
        Example(
            line="nexus agent terminal send 'make test' --enter",
            shows="Type a command",
            needs=(*NEEDED, "nexus agent terminal open"),
        ),
    )

    async def execute(self, context: ExecutionContext[SendArguments]) -> InputAccepted:
        args = context.args
        content = await bytes_given(context, args.text, limit=MOST_INPUT) + (b"\r" if args.enter else b"")
        client = await client_of(context)
        session_id = await terminal_of(context, client)
        if context.flags.idempotency_key is None:
            return await client.send(session_id, content)
        return await client.send_input(session_id, SessionInput.of(context.flags.idempotency_key, 1, content))


class ListTerminals(CommandHandler[ListTerminalsArguments, Page[Session]]):
    """List the project's terminals, the newest first."""

    path = ("agent", "terminal", "list")
    arguments = ListTerminalsArguments
    result = Page[Session]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("project",)
    errors = SESSION_ERRORS
    examples = (
        Example(line="nexus agent terminal list", shows="Those that are open", needs=NEEDED),
        Example(line="nexus agent terminal list --all", shows="The closed ones too", needs=NEEDED),
    )

    async def execute(self, context: ExecutionContext[ListTerminalsArguments]) -> Page[Session]:
        args = context.args
        query = SessionQuery(
            filter=args.filter,
            limit=args.limit,
            cursor=args.cursor,
            sort=args.sort,
            type="terminal",
            project_id=context.selected("project"),
            include_closed=args.all,
        )
        return await (await client_of(context)).list(query)


class CloseTerminal(CommandHandler[TransportArguments, SessionView]):
    """Close a terminal, and end what runs in it: the one that --session-id names, else the project's active one."""

    path = ("agent", "terminal", "close")
    arguments = TransportArguments
    result = SessionView
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    context = ("project",)
    session_type = "terminal"
    errors = TERMINAL_ERRORS
    examples = (
        Example(
            line="nexus agent terminal close",
            shows="Close the active one",
            needs=(*NEEDED, "nexus agent terminal open"),
        ),
    )

    async def execute(self, context: ExecutionContext[TransportArguments]) -> Outcome[SessionView]:
        client = await client_of(context)
        return await changed(client, await terminal_of(context, client), client.close)


async def opened(context: ExecutionContext[Any], client: SessionClient, args: PlaceArguments, **more: Any) -> Session:
    """Open a terminal as the arguments say. `more` are options of its own."""
    options = TerminalOptions(
        cwd=args.cwd,
        shell=args.shell,
        columns=args.cols,
        rows=args.rows,
        grace_seconds=args.grace,
        secrets=args.secret,
        **more,
    )
    return await client.create(
        NewSession(
            type="terminal",
            context=SessionContext(project_id=context.selected("project")),
            transport=client.transport.name,
            options=options.model_dump(mode="json", by_alias=True),
            surroundings=surroundings_of(context),
        )
    )


async def terminal_of(context: ExecutionContext[Any], client: SessionClient) -> str:
    """Return the terminal that the command is about. Raises `SessionNotFound` when the project has none."""
    if context.session is not None:
        return context.session.session_id
    query = SessionQuery(type="terminal", status="active", project_id=context.selected("project"), limit=1)
    found = (await client.list(query)).items
    if not found:
        raise SessionNotFound(session_id="of an open terminal in this project", hint="nexus agent terminal open")
    return found[0].session_id
