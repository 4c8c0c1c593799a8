"""Live sessions: see them, read them, write to them, end them, whatever their type."""

from functools import partial

from pydantic import Field

from nexus.handlers.listing import ListArguments
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
    interrupting,
    session_named,
    stream_of,
)
from nexus.handlers.texts import bytes_given
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import OutcomeUnknown, SessionClosed
from nexus.schemas.page import Page
from nexus.schemas.session import (
    MOST_INPUT,
    InputAccepted,
    Session,
    SessionId,
    SessionInput,
    SessionQuery,
    SessionStatus,
    SessionView,
)
from nexus.sessions.stream import LineStream

OPENED = (
    "nexus agent project create --name demo",
    "nexus agent project select --name demo",
    "nexus agent terminal open",
)
NEWEST = "$(nexus session list | jq -r '.data.items[0].sessionId')"
"""What the examples stand on: a session that is there, and a way to name it."""

INTERRUPTED_WITH_THEIR_READER = ("ai-chat", "agent-run", "pipeline-run")
"""Who stops a reader of these wants what they do to stop; the others go on without him."""


class ListSessionsArguments(ListArguments, TransportArguments):
    type: str | None = Field(default=None, max_length=100, description="Only sessions of this type.")
    status: SessionStatus | None = Field(default=None, description="Only sessions of this status.")
    all: bool = Field(default=False, description="Those that have ended too.")


class SessionArguments(TransportArguments):
    session: SessionId | None = Field(
        default=None,
        description="The session's id; else --session-id, else NEXUS_SESSION_ID.",
        json_schema_extra={"positional": True, "metavar": "ID"},
    )


class SessionStreamArguments(StreamArguments, SessionArguments):
    """A session and how its stream is printed."""


class SessionEventsArguments(SessionStreamArguments):
    follow: bool = Field(default=False, description="Go on with what comes.")


class SendArguments(SessionArguments):
    text: str = Field(
        max_length=MOST_INPUT,
        description="What to send; - reads standard input.",
        json_schema_extra={"positional": True, "stdin": True},
    )
    enter: bool = Field(default=False, description="Press the return key behind it.")


class ResizeArguments(SessionArguments):
    columns: int = Field(ge=1, le=10_000, description="Characters a line.", json_schema_extra={"aliases": ["cols"]})
    rows: int = Field(ge=1, le=10_000, description="Lines.")


class ListLiveSessions(CommandHandler[ListSessionsArguments, Page[Session]]):
    """List the sessions that have not ended, the newest first."""

    path = ("session", "live", "list")
    arguments = ListSessionsArguments
    result = Page[Session]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = SESSION_ERRORS
    examples = (
        Example(line="nexus session live list", shows="Every live session"),
        Example(line="nexus session live list --type terminal --all", shows="Terminals, the closed ones too"),
    )

    async def execute(self, context: ExecutionContext[ListSessionsArguments]) -> Page[Session]:
        args = context.args
        query = SessionQuery(
            filter=args.filter,
            limit=args.limit,
            cursor=args.cursor,
            sort=args.sort,
            type=args.type,
            status=args.status,
            include_closed=args.all,
        )
        return await (await client_of(context)).list(query)


class ViewLiveSession(CommandHandler[SessionArguments, SessionView]):
    """Show a session: its context, what can be done with it, and where its stream stands."""

    path = ("session", "live", "view")
    arguments = SessionArguments
    result = SessionView
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = SESSION_ERRORS
    examples = (Example(line=f"nexus session live view {NEWEST}", shows="One session", needs=OPENED),)

    async def execute(self, context: ExecutionContext[SessionArguments]) -> SessionView:
        return await (await client_of(context)).view(session_named(context, context.args.session))


class ShowSessionEvents(CommandHandler[SessionEventsArguments, "LineStream | Collected"]):
    """Print a session's stored events, of one that has ended too; with --follow go on with what comes.

    The session is only read: an interrupt ends the reader, and nothing else.
    """

    path = ("session", "live", "events")
    arguments = SessionEventsArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING, Effect.IDEMPOTENT})
    errors = STREAM_ERRORS
    events = STREAM_EVENTS
    examples = (
        Example(line=f"nexus session live events {NEWEST} --after 1", shows="What came behind event 1", needs=OPENED),
        Example(
            line=f"nexus session live events {NEWEST} --follow --limit 1", shows="Wait for one event", needs=OPENED
        ),
    )

    async def execute(self, context: ExecutionContext[SessionEventsArguments]) -> LineStream | Collected:
        args = context.args
        client = await client_of(context)
        follow = args.follow and not args.collect
        stream = stream_of(client, session_named(context, args.session), args, follow=follow, printed=context.printed)
        return await collected(stream) if args.collect else stream


class AttachLiveSession(CommandHandler[SessionStreamArguments, "LineStream | Collected"]):
    """Follow a live session until it ends.

    An interrupt ends the reader; a chat, an agent's run and a pipeline's run are interrupted with it.
    """

    path = ("session", "live", "attach")
    arguments = SessionStreamArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING})
    errors = STREAM_ERRORS
    events = STREAM_EVENTS
    examples = (
        Example(line=f"nexus session live attach {NEWEST} --limit 1", shows="Until it printed one event", needs=OPENED),
    )

    async def execute(self, context: ExecutionContext[SessionStreamArguments]) -> LineStream | Collected:
        args = context.args
        client = await client_of(context)
        session_id = session_named(context, args.session)
        session = await client.view(session_id)
        if session.status in ("closed", "error"):
            raise SessionClosed(session_id=session_id, hint=f"nexus session live events {session_id}")
        on_stop = interrupting(client, session_id) if session.type in INTERRUPTED_WITH_THEIR_READER else None
        stream = stream_of(client, session_id, args, follow=not args.collect, printed=context.printed, on_stop=on_stop)
        return await collected(stream) if args.collect else stream


class SendToSession(CommandHandler[SendArguments, InputAccepted]):
    """Send input to a session, and answer when it is applied.

    Under the same --idempotency-key the same input is applied once, however often it is sent.
    """

    path = ("session", "live", "send")
    arguments = SendArguments
    result = InputAccepted
    effects = frozenset({Effect.WRITE})
    change = "updated"
    errors = (*SESSION_ERRORS, OutcomeUnknown)
    examples = (
        Example(line=f"nexus session live send {NEWEST} 'make test' --enter", shows="Type a command", needs=OPENED),
    )

    async def execute(self, context: ExecutionContext[SendArguments]) -> InputAccepted:
        args = context.args
        content = await bytes_given(context, args.text, limit=MOST_INPUT) + (b"\r" if args.enter else b"")
        client = await client_of(context)
        session_id = session_named(context, args.session)
        if context.flags.idempotency_key is None:
            return await client.send(session_id, content)
        return await client.send_input(session_id, SessionInput.of(context.flags.idempotency_key, 1, content))


class InterruptLiveSession(CommandHandler[SessionArguments, SessionView]):
    """Interrupt what is at work in a session: ^C in a terminal, the generation in a chat. The session stays."""

    path = ("session", "live", "interrupt")
    arguments = SessionArguments
    result = SessionView
    effects = frozenset({Effect.WRITE})
    change = "updated"
    errors = (*SESSION_ERRORS, OutcomeUnknown)
    examples = (Example(line=f"nexus session live interrupt {NEWEST}", shows="Press ^C in it", needs=OPENED),)

    async def execute(self, context: ExecutionContext[SessionArguments]) -> SessionView:
        return await (await client_of(context)).interrupt(session_named(context, context.args.session))


class ResizeLiveSession(CommandHandler[ResizeArguments, SessionView]):
    """Tell a terminal its size."""

    path = ("session", "live", "resize")
    arguments = ResizeArguments
    result = SessionView
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = SESSION_ERRORS
    examples = (
        Example(line=f"nexus session live resize {NEWEST} --columns 120 --rows 40", shows="A larger one", needs=OPENED),
    )

    async def execute(self, context: ExecutionContext[ResizeArguments]) -> Outcome[SessionView]:
        args, client = context.args, await client_of(context)
        resize = partial(client.resize, columns=args.columns, rows=args.rows)
        return await changed(client, session_named(context, args.session), resize)


class RestartLiveSession(CommandHandler[SessionArguments, SessionView]):
    """End what a session runs and start it anew. Its stream goes on in the next epoch."""

    path = ("session", "live", "restart")
    arguments = SessionArguments
    result = SessionView
    effects = frozenset({Effect.WRITE})
    change = "updated"
    errors = SESSION_ERRORS
    examples = (Example(line=f"nexus session live restart {NEWEST}", shows="Start it again", needs=OPENED),)

    async def execute(self, context: ExecutionContext[SessionArguments]) -> SessionView:
        return await (await client_of(context)).restart(session_named(context, context.args.session))


class CloseLiveSession(CommandHandler[SessionArguments, SessionView]):
    """Close a session, and end what runs in it. Its events stay for a while."""

    path = ("session", "live", "close")
    arguments = SessionArguments
    result = SessionView
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = SESSION_ERRORS
    examples = (Example(line=f"nexus session live close {NEWEST}", shows="End it", needs=OPENED),)

    async def execute(self, context: ExecutionContext[SessionArguments]) -> Outcome[SessionView]:
        client = await client_of(context)
        return await changed(client, session_named(context, context.args.session), client.close)
