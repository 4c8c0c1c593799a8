"""`network connection`: what this machine is connected with, and who owns each connection."""

from typing import Any, Literal

from pydantic import Field

from nexus.handlers.api_errors import READING
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.session.streams import (
    STREAM_ERRORS,
    STREAM_EVENTS,
    Collected,
    StreamArguments,
    client_of,
    collected,
    stream_of,
)
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.errors import NotFound
from nexus.schemas.network import Connection, ConnectionStatus, ConnectionType, MonitorOptions, Noted
from nexus.schemas.session import NewSession
from nexus.schemas.stream import OutputStream
from nexus.sessions.client import SessionClient


class ListConnectionsArguments(ListArguments):
    filter_type: ConnectionType | None = Field(default=None, description="Only connections of this type.")
    filter_status: ConnectionStatus | None = Field(default=None, description="Only connections that are so.")
    pid: int | None = Field(default=None, ge=0, description="Only those of the process with this id.")


def connection_query(arguments: ListConnectionsArguments, **more: Any) -> dict[str, Any]:
    """Return what was asked for as the API's query."""
    query = query_of(arguments, **more)
    asked = {"type": query.pop("filterType", None), "status": query.pop("filterStatus", None)}
    return {**query, **asked}


class ListConnections(CommandHandler[ListConnectionsArguments, Noted[Connection]]):
    """List the connections: TCP and UDP sockets of the kernel's machine, and the kernel's links to its servers.

    `state` is the system's word (LISTEN, ESTABLISHED, …), `status` what it means: starting, running, exited (it is
    being closed), error (a server that does not answer). Whose a socket is, the system tells of your own processes;
    what it does not tell is counted in `notes`.
    """

    path = ("network", "connection", "list")
    arguments = ListConnectionsArguments
    result = Noted[Connection]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus network connection list --filter-status running", shows="What is open"),
        Example(
            line="nexus network connection list --filter LISTEN --query 'items[].{port: local.port, by: process}'",
            shows="The ports that somebody listens at",
        ),
    )

    async def execute(self, context: ExecutionContext[ListConnectionsArguments]) -> Noted[Connection]:
        query = connection_query(context.args)
        return await context.api.get("/api/network/connections", Noted[Connection], query=query)


class ConnectionReference(Arguments):
    id: str = Field(min_length=1, max_length=200, description="The connection's id, as the list tells it.")


class ViewConnection(CommandHandler[ConnectionReference, Connection]):
    """Show one connection."""

    path = ("network", "connection", "view")
    arguments = ConnectionReference
    result = Connection
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (
        Example(line="nexus network connection view --id con_local", shows="The link to the kernel's own server"),
    )

    async def execute(self, context: ExecutionContext[ConnectionReference]) -> Connection:
        return await context.api.get("/api/network/connections/{id}", Connection, at={"id": context.args.id})


class MonitorArguments(StreamArguments):
    id: str | None = Field(
        default=None, min_length=1, max_length=200, description="Only this connection; the monitor ends with it."
    )
    filter_type: ConnectionType | None = Field(default=None, description="Only connections of this type.")
    filter_status: ConnectionStatus | None = Field(default=None, description="Only connections that are so.")
    pid: int | None = Field(default=None, ge=0, description="Only those of the process with this id.")
    follow: bool = Field(default=False, description="Go on, and tell what opens, changes and closes.")
    initial: bool = Field(default=False, description="With --follow, tell first what is there.")
    poll_interval: float | None = Field(
        default=None, ge=100, le=60_000, description="Milliseconds between two looks; 1000 when left out."
    )
    detach: bool = Field(default=False, description="Answer with the session at once; the monitor goes on.")


class MonitorConnections(CommandHandler[MonitorArguments, OutputStream | Collected]):
    """Tell of the connections as events: those that are there, or with --follow what opens, changes and closes.

    The connections are looked at every --poll-interval milliseconds; what opens and closes between two looks is not
    seen. `change` is `present`, `opened`, `changed` (with the connection `before`) or `closed`. With --detach the
    monitor goes on by itself, for ten minutes when nobody reads it: `nexus session live events ID` reads it.
    """

    path = ("network", "connection", "monitor")
    arguments = MonitorArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING})
    session_type = "network-stream"
    errors = (*STREAM_ERRORS, NotFound)
    events = STREAM_EVENTS
    examples = (
        Example(line="nexus network connection monitor --filter-type server", shows="The links to servers, as events"),
        Example(line="nexus network connection monitor --collect", shows="What is there, in one envelope"),
        Example(
            line="nexus network connection monitor --follow --initial --limit 1 --poll-interval 200",
            shows="Until the first event",
        ),
    )

    async def execute(self, context: ExecutionContext[MonitorArguments]) -> OutputStream | Collected:
        return await monitored(context, scope="machine")


async def monitored(context: ExecutionContext[Any], *, scope: Literal["machine", "kernel"]) -> OutputStream | Collected:
    """Return the stream of a monitor: the session that --session-id names, else one that ends with its reader."""
    args = context.args
    client = await client_of(context)
    if context.session is not None and context.printed is None:
        follow = args.follow and not args.collect
        stream = stream_of(client, context.session.session_id, args, follow=follow)
        return await collected(stream) if args.collect else stream
    session_id = context.printed.session_id if context.printed else await _opened(context, client, scope)
    if args.detach:
        return Collected(session_id=session_id, epoch=1, last_seq=0, truncated=False, events=[])
    stream = stream_of(client, session_id, args, follow=True, printed=context.printed, own=True)
    return await collected(stream) if args.collect else stream


async def _opened(context: ExecutionContext[Any], client: SessionClient, scope: Literal["machine", "kernel"]) -> str:
    args = context.args
    options = MonitorOptions(
        id=args.id,
        type=args.filter_type,
        status=args.filter_status,
        pid=args.pid,
        # A form that is bounded tells what is there, unless it is bounded by a number of changes.
        follow=args.follow and (args.limit is not None or not args.collect),
        initial=args.initial,
        interval_ms=args.poll_interval or 1000,
        scope=scope,
    )
    new = NewSession(
        type="network-stream",
        transport=client.transport.name,
        options=options.model_dump(mode="json", by_alias=True, exclude_none=True),
    )
    return (await client.create(new)).session_id
