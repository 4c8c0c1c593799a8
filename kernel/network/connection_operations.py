"""The API of connections: the machine's, and the kernel's own."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterable

from nexus.kernel.api.late import Behind
from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.network.link import Link, shown
from nexus.kernel.network.sockets import Scan
from nexus.kernel.network.view import NetworkView
from nexus.kernel.paging import cut
from nexus.schemas.errors import NotFound
from nexus.schemas.network import (
    Connection,
    ConnectionFilter,
    ConnectionQuery,
    ConnectionsStatus,
    Endpoint,
    Noted,
    ProcessQuery,
)

SORTS = {
    "id": lambda link: link.id,
    "type": lambda link: link.type,
    "status": lambda link: link.status,
    "state": lambda link: link.state,
    "local": lambda link: shown(link.local),
    "remote": lambda link: shown(link.remote),
    "pid": lambda link: link.pid if link.pid is not None else -1,
    "process": lambda link: link.process or "",
}
MOST_ID_CHARACTERS = 200
MOST_LISTENING = 200


class ConnectionOperations:
    """What can be asked of connections."""

    def __init__(self, view: NetworkView) -> None:
        self.seen = view

    def behind(self) -> dict[str, Behind]:
        """Return what stands behind each operation."""
        page = Noted[Connection]
        return {
            "network.connection.list": Behind(self.list, page, query=ConnectionQuery),
            "network.connection.view": Behind(self.view, Connection),
            "debug.connection.list": Behind(self.list_own, page, query=ConnectionQuery),
            "debug.connection.status": Behind(self.status, ConnectionsStatus, query=ProcessQuery),
            "debug.connection.view": Behind(self.view_own, Connection, query=ProcessQuery),
        }

    async def list(self, request: ApiRequest[ConnectionQuery, None]) -> Noted[Connection]:
        """Return a page of the machine's connections."""
        # Of ten thousand sockets a page takes long enough to be felt by others on the loop.
        return await asyncio.to_thread(_page, await self.seen.connections(request.query), request.query)

    async def view(self, request: ApiRequest[None, None]) -> Connection:
        """Return one connection. Raises `NotFound`."""
        identity = request.path["id"]
        return _only(await self.seen.connections(_filter(identity)), identity, "network")

    async def list_own(self, request: ApiRequest[ConnectionQuery, None]) -> Noted[Connection]:
        """Return a page of the kernel's connections."""
        return await asyncio.to_thread(_page, await self.seen.of_kernel(request.query), request.query)

    async def view_own(self, request: ApiRequest[ProcessQuery, None]) -> Connection:
        """Return one of the kernel's connections. Raises `NotFound`."""
        identity = request.path["id"]
        return _only(await self.seen.of_kernel(_filter(identity, request.query.pid)), identity, "debug")

    async def status(self, request: ApiRequest[ProcessQuery, None]) -> ConnectionsStatus:
        """Count the connections of the kernel, or of a process."""
        pid = request.query.pid
        scan = await self.seen.of_kernel(ConnectionFilter(pid=pid))
        whose = os.getpid() if pid is None else pid
        listening = sorted({link.local for link in scan.links if link.state == "LISTEN" and link.local}, key=shown)
        return ConnectionsStatus(
            pid=whose,
            process=next((link.process for link in scan.links if link.pid == whose), None),
            total=len(scan.links),
            by_type=_counted(link.type for link in scan.links),
            by_status=_counted(link.status for link in scan.links),
            by_state=_counted(link.state for link in scan.links),
            listening=[Endpoint(address=end[0], port=end[1]) for end in listening[:MOST_LISTENING]],
            notes=list(scan.notes),
        )


def _page(scan: Scan, query: ConnectionQuery) -> Noted[Connection]:
    text = query.filter.casefold() if query.filter else None
    found = [link for link in scan.links if text is None or link.contains(text)]
    links, cursor = cut(found, query, sorts=SORTS, order="local", identity=_id)
    items = [link.model() for link in links]
    return Noted[Connection](items=items, next_cursor=cursor, truncated=cursor is not None, notes=list(scan.notes))


def _id(link: Link) -> str:
    return link.id


def _filter(identity: str, pid: int | None = None) -> ConnectionFilter:
    """Return what finds one connection. No id is as long as a path may be, and none is found by its beginning."""
    return ConnectionFilter(id=identity[:MOST_ID_CHARACTERS], pid=pid)


def _only(scan: Scan, identity: str, namespace: str) -> Connection:
    if not scan.links:
        raise NotFound(
            resource="connection", reference=identity[:MOST_ID_CHARACTERS], hint=f"nexus {namespace} connection list"
        )
    return scan.links[0].model()


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
