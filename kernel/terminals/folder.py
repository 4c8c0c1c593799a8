"""The folder that a terminal starts in: one of its project, by the folder itself and not by its name alone."""

import asyncio
import os
from pathlib import Path

from nexus.kernel.files.root import LIST, Root
from nexus.kernel.projects.content import ContentFolders
from nexus.kernel.store.lookup import find
from nexus.kernel.store.schema import projects
from nexus.kernel.store.store import Store
from nexus.schemas.errors import PathOutsideRoot


class ProjectFolders:
    """Folders below the content paths of projects."""

    def __init__(self, store: Store, folders: ContentFolders) -> None:
        self._store = store
        self._folders = folders

    async def folder(self, project_id: str, path: str) -> tuple[str, tuple[int, int]]:
        """Return the folder's absolute path, and its (device, inode), by which the program makes sure that it is it.

        `path` is below the project's folder, relative to it or absolute. Raises `NotFound`, `PathOutsideRoot`.
        """
        row = await self._store.read(lambda connection: find(connection, projects, project_id))
        return await asyncio.to_thread(_opened, str(self._folders.of(row)), path)


def _opened(content: str, path: str) -> tuple[str, tuple[int, int]]:
    relative = _below(content, path) if os.path.isabs(path) else path
    with Root(Path(content)) as root, root.opened(relative, LIST) as descriptor:
        status = os.fstat(descriptor)
    return os.path.normpath(os.path.join(content, relative)), (status.st_dev, status.st_ino)


def _below(content: str, path: str) -> str:
    """Return an absolute path relative to the content folder, whichever of its names it was given by."""
    for base in (content, os.path.realpath(content)):
        if path == base or path.startswith(f"{base}/"):
            return path[len(base) :].lstrip("/") or "."
    raise PathOutsideRoot(path=path)
