"""What outlives a command: the index, the handlers, the places, the connections and the local kernel."""

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.call import Call
from nexus.client.provider import KernelProvider
from nexus.client.way import LOCAL_URL, Way
from nexus.plugins.plugins import Plugins
from nexus.registry.aliases import UserAliases
from nexus.registry.index import CommandIndex
from nexus.registry.registry import IndexedHandlers
from nexus.schemas.command import Folders, GlobalFlags
from nexus.schemas.front import Fronts

if TYPE_CHECKING:
    import httpx

    from nexus.client.sessions import SessionWays
    from nexus.credentials.kept import Credentials
    from nexus.plugins.catalog import Catalog
    from nexus.plugins.runner import PluginRunner
    from nexus.sessions.outbound import Outbound


_MOST_VIEWS = 64


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
        self.remembered: dict[str, Credentials] = {}
        self._ways_to: dict[tuple[str, Outbound | None], Way] = {}
        self._clients: dict[tuple[str | None, Outbound | None], httpx.AsyncClient] = {}
        self._ways: SessionWays | None = None
        self.plugins = Plugins(folders)
        self.extensions: PluginRunner | None = None
        self.program = "nexus"
        """What commands are run by, as answers name it."""
        self._whole = self
        self._views: dict[Catalog, Runtime] = {}

    async def at(self, cwd: Path) -> "Runtime":
        """Return this runtime as a caller in that folder has it: with their plugins' commands. Nothing is raised."""
        try:
            catalog = await self.plugins.catalog(cwd)
            return self._with(catalog) if catalog.plugins else self
        except Exception as fault:  # noqa: BLE001 -- whatever is wrong with plugins, every other command is answered
            from nexus.output.fault_log import write_fault

            write_fault(self.folders.state / "logs", {"message": f"plugins: {type(fault).__name__}: {fault}"[:500]})
            return self

    def _with(self, catalog: "Catalog") -> "Runtime":
        view = self._views.get(catalog)
        if view is None:
            from nexus.plugins.runner import PluginRunner

            view = copy(self)
            view.extensions = PluginRunner(catalog, self.plugins.pool, self.folders)
            view.index = self.index.beside(catalog.index)
            view.index.withheld = view.extensions.withheld
            view.index.more_formats = catalog.output_formats
            view.handlers = IndexedHandlers(view.index, view.extensions.handler)
            view.aliases = UserAliases(self.folders.config / "aliases.json", view.index)
            view.index.own_alias = view.aliases.find
            if len(self._views) >= _MOST_VIEWS:
                self._views.clear()
            self._views[catalog] = view
        return view

    @property
    def session_ways(self) -> "SessionWays":
        """The ways of the Session ABI that are open; nothing is imported before the first use."""
        if self._whole is not self:
            return self._whole.session_ways
        if self._ways is None:
            from nexus.client.sessions import SessionWays

            self._ways = SessionWays(self.kernel)
        return self._ways

    async def way(self, server: str | None, outbound: "Outbound | None" = None) -> Way:
        """Return the way to the API of a server, or of the local kernel. Nothing is imported before the first call.

        Raises `ValidationError` for certificates that cannot be used.
        """
        if server is None:
            return await self.kernel.way()
        place = (server, outbound)
        if place not in self._ways_to:
            from nexus.client.again import AgainWay
            from nexus.client.http import to_server
            from nexus.sessions.outbound import DIRECT

            self._ways_to[place] = AgainWay(to_server(server, outbound or DIRECT))
        return self._ways_to[place]

    async def client(self, server: str | None, outbound: "Outbound | None" = None) -> "httpx.AsyncClient":
        """Return the same way as httpx knows it, for the polling transport of the Session ABI."""
        from nexus.client.http import OverWay, client_of

        place = (server, outbound)
        if place not in self._clients:
            self._clients[place] = client_of(server or LOCAL_URL, OverWay(await self.way(server, outbound)))
        return self._clients[place]

    async def close(self) -> None:
        """Close the connections, and end the workers of plugins."""
        await self.plugins.close()
        if self._ways is not None:
            await self._ways.close()
        for client in self._clients.values():
            await client.aclose()
        for way in self._ways_to.values():
            await way.aclose()
