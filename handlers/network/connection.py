"""`network connection`: what this machine is connected with, and who owns each connection."""

from typing import Any

from pydantic import Field

from nexus.handlers.api_errors import READING
from nexus.handlers.listing import ListArguments, query_of
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.errors import NotFound
from nexus.schemas.network import Connection, ConnectionStatus, ConnectionType, Noted


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
