"""The API of servers."""

import asyncio
from collections.abc import Sequence

from nexus.kernel.api.late import Behind
from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.network.machine import machine
from nexus.kernel.network.servers import Servers
from nexus.kernel.paging import cut
from nexus.kernel.store.rows import name_key
from nexus.schemas.kernel import Deleted
from nexus.schemas.model import rfc3339
from nexus.schemas.network import (
    LOCAL,
    DrainRequest,
    Latency,
    NewServer,
    Server,
    ServerChange,
    ServerChanges,
    ServerQuery,
    ServersRefreshed,
    ServerStatus,
    StatusQuery,
)
from nexus.schemas.page import Page

SORTS = {
    "id": lambda server: server.id,
    "name": lambda server: name_key(server.name),
    "type": lambda server: server.type,
    "status": lambda server: server.status,
    "url": lambda server: server.url or "",
    "createdAt": lambda server: rfc3339(server.created_at),
}


class ServerOperations:
    """What can be asked of the servers, and done with them."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers

    def behind(self) -> dict[str, Behind]:
        """Return what stands behind each operation."""
        servers = self.servers
        return {
            "network.server.list": Behind(self.list, Page[Server], query=ServerQuery),
            "network.server.add": Behind(servers.add, Server, body=NewServer),
            "network.server.refresh": Behind(self.refresh, ServersRefreshed),
            "network.server.view": Behind(self.view, Server),
            "network.server.update": Behind(servers.change, Server, body=ServerChanges),
            "network.server.remove": Behind(servers.remove, Deleted),
            "network.server.status": Behind(self.status, ServerStatus, query=StatusQuery),
            "network.server.drain": Behind(servers.drain, Server, body=DrainRequest),
        }

    async def list(self, request: ApiRequest[ServerQuery, None]) -> Page[Server]:
        """Return a page of servers; those that were not asked lately are asked."""
        query = request.query
        text = query.filter.casefold() if query.filter else None
        found = [
            server
            for server in await self.servers.all()
            if (query.name is None or name_key(server.name) == name_key(query.name))
            and query.type in (None, server.type)
            and query.status in (None, server.status)
            and (text is None or _contains(server, text))
        ]
        items, cursor = cut(found, query, sorts=SORTS, order="name", identity=lambda server: server.id)
        return Page[Server](items=items, next_cursor=cursor, truncated=cursor is not None)

    async def view(self, request: ApiRequest[None, None]) -> Server:
        """Return one server."""
        return await self.servers.one(request.path["id"])

    async def status(self, request: ApiRequest[StatusQuery, None]) -> ServerStatus:
        """Ask a server several times, one after the other; the last answer is what it is."""
        server_id, wanted = request.path["id"], request.query.requests
        asked = [await self.servers.one(server_id, within=0) for _ in range(wanted)]
        here = await asyncio.to_thread(machine) if server_id == LOCAL else None
        times = [server.latency_ms for server in asked if server.latency_ms is not None]
        return ServerStatus(**asked[-1].model_dump(by_alias=False), latency=_latency(wanted, times), machine=here)

    async def refresh(self, request: ApiRequest[None, None]) -> ServersRefreshed:  # noqa: ARG002 -- nothing to ask for
        """Ask every server now."""
        before = {server.id: server for server, asked in await self.servers.known() if asked}
        after = await self.servers.all(within=0)
        changed = [
            ServerChange(id=server.id, name=server.name, before=before[server.id].status, after=server.status)
            for server in after
            if server.id in before and before[server.id].status != server.status
        ]
        return ServersRefreshed(items=after, changed=changed)


def _contains(server: Server, text: str) -> bool:
    words = (server.id, server.name, server.type, server.url, server.status, server.version, server.error)
    return any(text in word.casefold() for word in words if word)


def _latency(requests: int, times: Sequence[float]) -> Latency:
    if not times:
        return Latency(requests=requests, failed=requests)
    mean = round(sum(times) / len(times), 3)
    failed = requests - len(times)
    return Latency(requests=requests, failed=failed, min_ms=min(times), mean_ms=mean, max_ms=max(times))
