"""All that a process knows of plugins: the catalogs of the folders that its callers have, and the workers."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.plugins.catalog import Catalog, Known, compiled, file_for, find, load
from nexus.plugins.discovery import Root, roots_for
from nexus.schemas.command import Folders

if TYPE_CHECKING:
    from nexus.plugins.pool import WorkerPool

MOST_CATALOGS = 64
RECORDS = "plugins.json"

_log = logging.getLogger(__name__)


class Plugins:
    """One a process. Nothing is read before the first command, and nothing of a plugin before one of its own runs."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self._pool: WorkerPool | None = None
        self._catalogs: dict[tuple[Root, ...], Catalog] = {}
        self._compiling = asyncio.Lock()

    @property
    def pool(self) -> "WorkerPool":
        """The workers; most processes have none, and import nothing for them."""
        if self._pool is None:
            from nexus.plugins.pool import WorkerPool

            self._pool = WorkerPool()
        return self._pool

    @property
    def records(self) -> Path:
        """The file of what a person decided about plugins."""
        return self.folders.config / RECORDS

    async def catalog(self, cwd: Path) -> Catalog:
        """Return the catalog for a caller in this folder, as the files are now.

        Where nothing changed it costs a stat a file: no manifest is read, whatever the number of plugins.
        """
        roots = roots_for(self.folders.data, str(cwd))
        known = self._catalogs.get(roots)
        if known is not None and known.is_current():
            return known
        async with self._compiling:
            return await self._read(roots)

    async def _read(self, roots: tuple[Root, ...]) -> Catalog:
        kept_at = file_for(self.folders.state, roots)
        if roots not in self._catalogs:
            kept = load(kept_at)
            if kept is not None and kept.is_current():
                return self._remember(roots, kept)
        known = self._catalogs.get(roots)
        if known is not None and known.is_current():
            # Another command compiled it while this one waited.
            return known
        found = find(roots, self.records)
        if not found.candidates:
            return self._remember(roots, compiled(found, kept_at, self.records))
        return self._remember(roots, await asyncio.to_thread(compiled, found, kept_at, self.records))

    def _remember(self, roots: tuple[Root, ...], catalog: Catalog) -> Catalog:
        if len(self._catalogs) >= MOST_CATALOGS:
            self._catalogs.clear()
        self._catalogs.pop(roots, None)
        self._catalogs[roots] = catalog
        return catalog

    def session_type(self, name: str) -> tuple[Catalog, Known, dict[str, Any]] | None:
        """Return the active plugin that brings a session type, with its declaration, as commands last saw them."""
        for catalog in reversed(self._catalogs.values()):
            for known, kinds in catalog.contributing("contributes", "sessionTypes"):
                if name in kinds:
                    return catalog, known, kinds[name]
        return None

    async def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            await self._pool.close()
