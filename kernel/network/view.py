"""One view of the network for all who ask: sockets, servers and interfaces, put together."""

import asyncio
from collections.abc import Iterable

from nexus.kernel.network.link import Link
from nexus.kernel.network.links import belonging_to, server_links
from nexus.kernel.network.machine import interfaces, machine
from nexus.kernel.network.servers import FRESH_SECONDS, Servers
from nexus.kernel.network.sockets import Scan, Sockets
from nexus.kernel.network.topology import Sight
from nexus.schemas.network import ConnectionFilter


class NetworkView:
    """What is connected with what, now."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.sockets = Sockets()

    async def connections(self, asked: ConnectionFilter, *, patient: bool = True) -> Scan:
        """Return the machine's connections and the links to servers that were asked for.

        `patient` waits for servers that were not asked lately; else their last answer is taken. Raises `NotFound` for
        an element that there is not.
        """
        # The links first: asking the servers makes sockets that are gone a moment later.
        links = await self._server_links(patient=patient) if asked.type in (None, "server") else []
        scan = await self.sockets.machine() if asked.type != "server" else Scan()
        found: Iterable[Link] = (link for link in (*scan.links, *links) if link.matches(asked))
        if asked.element is not None:
            known, _ = await asyncio.to_thread(interfaces)
            servers = [server for server, _ in await self.servers.known()]
            found = filter(belonging_to(asked.element, servers, known), found)
        return Scan(tuple(found), scan.notes)

    async def of_kernel(self, asked: ConnectionFilter, *, patient: bool = True) -> Scan:
        """Return the kernel's connections: its links to servers, the sockets of its process and of those below it.

        Or, when a process was asked for, that one's sockets. Raises `NotFound`, `PermissionDenied`.
        """
        if asked.pid is not None:
            scan, links = await self.sockets.process(asked.pid), []
        else:
            links = await self._server_links(patient=patient)
            scan = await self.sockets.kernel()
        return Scan(tuple(link for link in (*scan.links, *links) if link.matches(asked)), scan.notes)

    async def sight(self, *, within: float = FRESH_SECONDS) -> Sight:
        """Return all that there is to see."""
        servers = await self.servers.all(within=within)
        scan = await self.sockets.machine()
        (known, notes), here = await asyncio.gather(asyncio.to_thread(interfaces), asyncio.to_thread(machine))
        return Sight(here, tuple(known), scan.links, tuple(servers), (*scan.notes, *notes))

    async def _server_links(self, *, patient: bool) -> list[Link]:
        if patient:
            return server_links([(server, True) for server in await self.servers.all()])
        return server_links(await self.servers.known())
