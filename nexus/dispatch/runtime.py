"""What outlives a command: the index, the handlers, the places, the connections and the local kernel."""

from typing import TYPE_CHECKING, Protocol

from nexus.registry.aliases import UserAliases
from nexus.registry.index import CommandIndex
from nexus.registry.registry import IndexedHandlers
from nexus.schemas.command import Folders

if TYPE_CHECKING:
    import httpx

    from nexus.client.api import Connections
    from nexus.client.sessions import SessionWays
    from nexus.schemas.session import TransportName
    from nexus.sessions.transport import Transport


class KernelProvider(Protocol):
    """The kernel of the local profile: in this process, or behind its owner's socket."""

    async def transport(self) -> "httpx.AsyncBaseTransport": ...

    async def session_transport(self, name: "TransportName") -> "Transport":
        """Return the way of the Session ABI that has this name. Raises `ValidationError` where there is none."""
        ...


class Runtime:
    """One a process. A one-shot command makes one for itself, the resident one for all commands."""

    def __init__(self, kernel: KernelProvider, folders: Folders, index: CommandIndex | None = None) -> None:
        self.kernel = kernel
        self.folders = folders
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
