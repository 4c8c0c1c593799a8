"""What outlives a command: the index, the handlers, the places, the connections and the local kernel."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from nexus.call import Call
from nexus.client.provider import KernelProvider
from nexus.registry.aliases import UserAliases
from nexus.registry.index import CommandIndex
from nexus.registry.registry import IndexedHandlers
from nexus.schemas.command import Folders, GlobalFlags
from nexus.schemas.front import Fronts

if TYPE_CHECKING:
    import httpx

    from nexus.client.api import Connections
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
        self.aliases = UserAliases(folders.config / "aliases.json", self.index)
        self.index.own_alias = self.aliases.find
        self._connections: Connections | None = None
        self._ways: SessionWays | None = None

    @property
    def session_ways(self) -> "SessionWays":
        """The ways of the Session ABI that are open; nothing is imported before the first use."""
        if self._ways is None:
            from nexus.client.sessions import SessionWays

            self._ways = SessionWays(self.kernel)
        return self._ways

    async def client(self, server: str | None) -> "httpx.AsyncClient":
        """Return the HTTP client of a server, or of the local kernel. Nothing is imported before the first call."""
        from nexus.client.api import LOCAL_URL, Connections

        if self._connections is None:
            self._connections = Connections()
        if server is not None:
            return self._connections.client(server)
        return self._connections.client(LOCAL_URL, await self.kernel.transport())

    async def close(self) -> None:
        """Close the connections."""
        if self._ways is not None:
            await self._ways.close()
        if self._connections is not None:
            await self._connections.close()
