"""What outlives a command: the index, the handlers, the places, the connections and the local kernel."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from nexus.call import Call
from nexus.client.provider import KernelProvider
from nexus.client.way import LOCAL_URL, Way
from nexus.registry.aliases import UserAliases
from nexus.registry.index import CommandIndex
from nexus.registry.registry import IndexedHandlers
from nexus.schemas.command import Folders, GlobalFlags
from nexus.schemas.front import Fronts

if TYPE_CHECKING:
    import httpx

    from nexus.client.sessions import SessionWays


class Runtime:
    """One a process. A one-shot command makes one for itself, the resident one for all commands.

    `fronts` makes what a command may start on this runtime: they dispatch commands themselves, so they come from above.
    """

    def __init__(
        self,
        kernel: KernelProvider,
        folders: Folders,
        fronts: "Callable[[Call, GlobalFlags, Runtime], Fronts]",
        index: CommandIndex | None = None,
    ) -> None:
        self.kernel = kernel
        self.folders = folders
        self.fronts = fronts
        self.index = index or CommandIndex.built_in()
        self.handlers = IndexedHandlers(self.index)
        self.contexts_folder = folders.state / "contexts"
        self.config_file = folders.config / "config.toml"
        self.aliases = UserAliases(folders.config / "aliases.json", self.index)
        self.index.own_alias = self.aliases.find
        self._ways_to: dict[str, Way] = {}
        self._clients: dict[str | None, httpx.AsyncClient] = {}
        self._ways: SessionWays | None = None

    @property
    def session_ways(self) -> "SessionWays":
        """The ways of the Session ABI that are open; nothing is imported before the first use."""
        if self._ways is None:
            from nexus.client.sessions import SessionWays

            self._ways = SessionWays(self.kernel)
        return self._ways

    async def way(self, server: str | None) -> Way:
        """Return the way to the API of a server, or of the local kernel. Nothing is imported before the first call."""
        if server is None:
            return await self.kernel.way()
        if server not in self._ways_to:
            from nexus.client.http import to_server

            self._ways_to[server] = to_server(server)
        return self._ways_to[server]

    async def client(self, server: str | None) -> "httpx.AsyncClient":
        """Return the same way as httpx knows it, for the polling transport of the Session ABI."""
        from nexus.client.http import OverWay, client_of

        if server not in self._clients:
            self._clients[server] = client_of(server or LOCAL_URL, OverWay(await self.way(server)))
        return self._clients[server]

    async def close(self) -> None:
        """Close the connections."""
        if self._ways is not None:
            await self._ways.close()
        for client in self._clients.values():
            await client.aclose()
        for way in self._ways_to.values():
            await way.aclose()
