"""`network server`: the servers that nexus knows, and how they are."""

from typing import ClassVar

from pydantic import Field

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import ChangeArguments, Changed, changed, told
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.references import Collection, NameReference
from nexus.schemas.command import (
    Arguments,
    Change,
    CommandHandler,
    Effect,
    Example,
    ExecutionContext,
    NoArguments,
    Outcome,
)
from nexus.schemas.errors import Conflict, NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.network import (
    DrainRequest,
    HealthPath,
    NewServer,
    Server,
    ServerChanges,
    ServersRefreshed,
    ServerState,
    ServerStatus,
    ServerType,
    ServerUrl,
)
from nexus.schemas.page import Page
from nexus.schemas.project import Name

ADD_BUILD = "nexus network server add --name build --url http://127.0.0.1:9"
WITH_BUILD = (ADD_BUILD,)

SERVERS = Collection(
    resource="server",
    namespace="network",
    listed_at="/api/network/servers",
    found_at="/api/network/servers/{id}",
    page=Page[Server],
    item=Server,
)


class ListServersArguments(ListArguments):
    filter_type: ServerType | None = Field(default=None, description="Only servers of this type.")
    filter_status: ServerState | None = Field(default=None, description="Only servers that are so.")


class ListServers(CommandHandler[ListServersArguments, Page[Server]]):
    """List the servers and how each of them is.

    The kernel that answers is the server `local`. The others were added; each is asked for its health over HTTP, within
    two seconds, when it was not asked in the last half minute. `online` answers well, `degraded` answers something else
    or takes more than a second, `offline` does not answer; `error` says why.
    """

    path = ("network", "server", "list")
    arguments = ListServersArguments
    result = Page[Server]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus network server list", shows="All servers"),
        Example(
            line="nexus network server list --filter-status offline --query 'items[].{name: name, why: error}'",
            shows="Those that do not answer, and why",
            needs=WITH_BUILD,
        ),
    )

    async def execute(self, context: ExecutionContext[ListServersArguments]) -> Page[Server]:
        query = query_of(context.args)
        asked = {"type": query.pop("filterType", None), "status": query.pop("filterStatus", None)}
        return await context.api.get("/api/network/servers", Page[Server], query={**query, **asked})


class AddServerArguments(Arguments):
    name: Name = Field(description="The server's name; no two servers have the same.", json_schema_extra={"short": "n"})
    url: ServerUrl = Field(description="Where it is: http:// or https://, without user and password.")
    type: ServerType = Field(default="worker", description="What it does.")
    health_path: HealthPath = Field(default="/health", description="The path at which it tells how it is.")


class AddServer(CommandHandler[AddServerArguments, Server]):
    """Add a server, and ask it at once how it is.

    A server that does not answer is added all the same. Redirects are not followed.
    """

    path = ("network", "server", "add")
    arguments = AddServerArguments
    result = Server
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*WRITING, Conflict)
    examples = (
        Example(line=ADD_BUILD, shows="A worker"),
        Example(
            line="nexus network server add --name models --url http://127.0.0.1:11434 --type ai --health-path /",
            shows="A server of models that tells its health elsewhere",
        ),
    )

    async def execute(self, context: ExecutionContext[AddServerArguments]) -> Outcome[Server]:
        body = NewServer.model_validate(context.args.model_dump(by_alias=False))
        server = await context.api.post("/api/network/servers", Server, body=body)
        return Outcome(server, message=f"Added the server {server.name!r}: it is {server.status}.")


class ServerReference(NameReference):
    """Which server; `local` is the kernel itself."""


class ViewServer(CommandHandler[ServerReference, Server]):
    """Show a server as it answered last."""

    path = ("network", "server", "view")
    arguments = ServerReference
    result = Server
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (
        Example(line="nexus network server view --id local", shows="The kernel's own server"),
        Example(line="nexus network server view --name build", shows="Another", needs=WITH_BUILD),
    )

    async def execute(self, context: ExecutionContext[ServerReference]) -> Server:
        return await SERVERS.find(context.api, context.args)


class ServerStatusArguments(ServerReference):
    requests: int = Field(default=3, ge=1, le=10, description="How many requests the latency is taken from.")


class StatusOfServer(CommandHandler[ServerStatusArguments, ServerStatus]):
    """Ask a server how it is now, and how long it takes to answer.

    The kernel's own server tells of its machine too: processors, load, memory.
    """

    path = ("network", "server", "status")
    arguments = ServerStatusArguments
    result = ServerStatus
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (
        Example(line="nexus network server status --id local", shows="The kernel and its machine"),
        Example(
            line="nexus network server status --name build --requests 1 --query '{status: status, ms: latency.meanMs}'",
            shows="Whether another answers, and how fast",
            needs=WITH_BUILD,
        ),
    )

    async def execute(self, context: ExecutionContext[ServerStatusArguments]) -> ServerStatus:
        server = await SERVERS.find(context.api, context.args)
        return await context.api.get(
            "/api/network/servers/{id}/status",
            ServerStatus,
            at={"id": server.id},
            query={"requests": context.args.requests},
        )


class DrainServerArguments(ServerReference):
    undo: bool = Field(default=False, description="Let it take new work again.")


class DrainServer(CommandHandler[DrainServerArguments, Server]):
    """Mark a server so that nothing new is placed on it; what runs there goes on.

    `--undo` takes the mark away.
    """

    path = ("network", "server", "drain")
    arguments = DrainServerArguments
    result = Server
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*WRITING, NotFound)
    examples = (
        Example(line="nexus network server drain --name build", shows="Before its upgrade", needs=WITH_BUILD),
        Example(line="nexus network server drain --name build --undo", shows="After it", needs=WITH_BUILD),
    )

    async def execute(self, context: ExecutionContext[DrainServerArguments]) -> Outcome[Server]:
        server = await SERVERS.find(context.api, context.args)
        body = DrainRequest(draining=not context.args.undo)
        drained = await context.api.post("/api/network/servers/{id}/drain", Server, at={"id": server.id}, body=body)
        what = "takes new work" if context.args.undo else "drains: nothing new is placed on it"
        change: Change = "unchanged" if server.draining == drained.draining else "updated"
        return Outcome(drained, message=f"The server {drained.name!r} {what}.", change=change)


class RefreshServers(CommandHandler[NoArguments, ServersRefreshed]):
    """Ask every server now how it is, and tell which of them changed since they were asked before."""

    path = ("network", "server", "refresh")
    result = ServersRefreshed
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (Example(line="nexus network server refresh", shows="Every server as it is now", needs=WITH_BUILD),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> ServersRefreshed:
        return await context.api.post("/api/network/servers/refresh", ServersRefreshed)


class UpdateServerArguments(ChangeArguments):
    clearable: ClassVar[frozenset[str]] = frozenset()

    name: Name | None = Field(default=None, description="A new name.", json_schema_extra={"short": "n"})
    url: ServerUrl | None = Field(default=None, description="Where it is now.")
    type: ServerType | None = Field(default=None, description="What it does now.")
    health_path: HealthPath | None = Field(default=None, description="The path at which it tells how it is.")


class ServerUpdated(Server, Changed):
    """The server as it is now, and what changed."""


class UpdateServer(CommandHandler[UpdateServerArguments, ServerUpdated]):
    """Change a server, and ask it at once how it is; what is left out stays as it is."""

    path = ("network", "server", "update")
    arguments = UpdateServerArguments
    result = ServerUpdated
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="nexus network server update --id build --url http://127.0.0.1:7 --type manager",
            shows="Another place and type",
            needs=WITH_BUILD,
        ),
    )

    async def execute(self, context: ExecutionContext[UpdateServerArguments]) -> Outcome[ServerUpdated]:
        given = context.args
        before = await SERVERS.by_id_or_name(context.api, given.id)
        after = await context.api.patch(
            "/api/network/servers/{id}", Server, at={"id": before.id}, body=given.body(ServerChanges)
        )
        # How it answered is asked, not changed.
        asked = before.model_copy(
            update={name: getattr(after, name) for name in type(after).model_fields if name not in given.wanted()}
        )
        result = changed(ServerUpdated, asked, after)
        return Outcome(result, message=told("server", after.name, result))


class RemoveServer(CommandHandler[ServerReference, Deleted]):
    """Forget a server; nothing happens to the server itself."""

    path = ("network", "server", "remove")
    arguments = ServerReference
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(line="nexus network server remove --name build --yes", shows="Forget a server", needs=WITH_BUILD),
    )

    async def execute(self, context: ExecutionContext[ServerReference]) -> Outcome[Deleted]:
        server = await SERVERS.find(context.api, context.args)
        deleted = await context.api.delete("/api/network/servers/{id}", Deleted, at={"id": server.id})
        return Outcome(deleted, message=f"Forgot the server {server.name!r}.")
