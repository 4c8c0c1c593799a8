"""`debug connection`: the connections of nexus itself, or of one process."""

from pydantic import Field

from nexus.handlers.api_errors import READING
from nexus.handlers.network.connection import (
    ConnectionReference,
    ListConnectionsArguments,
    MonitorArguments,
    connection_query,
    monitored,
)
from nexus.handlers.session.streams import STREAM_ERRORS, STREAM_EVENTS, Collected
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.errors import NotFound, PermissionDenied
from nexus.schemas.network import Connection, ConnectionsStatus, Noted
from nexus.schemas.stream import OutputStream

PID = Field(default=None, ge=0, description="A process of yours instead of the kernel.")


class ListOwnConnectionsArguments(ListConnectionsArguments):
    pid: int | None = PID


class ListOwnConnections(CommandHandler[ListOwnConnectionsArguments, Noted[Connection]]):
    """List the connections of nexus itself, Unix sockets among them.

    Those are the sockets of the kernel's process and of the processes below it, and its links to servers; with `--pid`
    the sockets of one process of yours.
    """

    path = ("debug", "connection", "list")
    arguments = ListOwnConnectionsArguments
    result = Noted[Connection]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound, PermissionDenied)
    examples = (
        Example(line="nexus debug connection list", shows="What the kernel is connected with"),
        Example(line="nexus debug connection list --pid $$", shows="What your shell is connected with"),
    )

    async def execute(self, context: ExecutionContext[ListOwnConnectionsArguments]) -> Noted[Connection]:
        query = connection_query(context.args)
        return await context.api.get("/api/debug/connections", Noted[Connection], query=query)


class OwnConnectionReference(ConnectionReference):
    pid: int | None = PID


class ViewOwnConnection(CommandHandler[OwnConnectionReference, Connection]):
    """Show one connection of nexus itself, or of the process `--pid`."""

    path = ("debug", "connection", "view")
    arguments = OwnConnectionReference
    result = Connection
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound, PermissionDenied)
    examples = (
        Example(line="nexus debug connection view --id con_local", shows="The link to the kernel's own server"),
    )

    async def execute(self, context: ExecutionContext[OwnConnectionReference]) -> Connection:
        given = context.args
        return await context.api.get(
            "/api/debug/connections/{id}", Connection, at={"id": given.id}, query={"pid": given.pid}
        )


class OwnConnectionsArguments(Arguments):
    pid: int | None = PID


class StatusOfConnections(CommandHandler[OwnConnectionsArguments, ConnectionsStatus]):
    """Count the connections of nexus itself, or of the process `--pid`, and tell where it listens."""

    path = ("debug", "connection", "status")
    arguments = OwnConnectionsArguments
    result = ConnectionsStatus
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound, PermissionDenied)
    examples = (Example(line="nexus debug connection status", shows="How many there are, and of what kind"),)

    async def execute(self, context: ExecutionContext[OwnConnectionsArguments]) -> ConnectionsStatus:
        query = {"pid": context.args.pid}
        return await context.api.get("/api/debug/connections/status", ConnectionsStatus, query=query)


class OwnMonitorArguments(MonitorArguments):
    pid: int | None = PID


class MonitorOwnConnections(CommandHandler[OwnMonitorArguments, OutputStream | Collected]):
    """Tell of the connections of nexus itself, or of the process `--pid`, as events.

    As `nexus network connection monitor` does: those that are there, or with --follow what opens, changes and closes.
    The monitor of a process ends with it.
    """

    path = ("debug", "connection", "monitor")
    arguments = OwnMonitorArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING})
    session_type = "network-stream"
    errors = (*STREAM_ERRORS, NotFound, PermissionDenied)
    events = STREAM_EVENTS
    examples = (
        Example(line="nexus debug connection monitor --collect", shows="What is there, in one envelope"),
        Example(
            line="nexus debug connection monitor --follow --initial --limit 1 --poll-interval 200",
            shows="Until the first event",
        ),
    )

    async def execute(self, context: ExecutionContext[OwnMonitorArguments]) -> OutputStream | Collected:
        return await monitored(context, scope="kernel")
