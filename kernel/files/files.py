"""Files of projects: browse, read, write, compare."""

import asyncio
import base64
import binascii
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.caller import SHELL
from nexus.kernel.files.root import FileData, Root, digest_of
from nexus.kernel.files.tree import browse
from nexus.kernel.files.write import write
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.projects.content import ContentFolders
from nexus.kernel.store.lookup import find
from nexus.kernel.store.schema import projects
from nexus.schemas.errors import ValidationError
from nexus.schemas.file import (
    MOST_BYTES,
    FileContent,
    FileDiff,
    FileDiffQuery,
    FileQuery,
    FileToWrite,
    FileTree,
    FileTreeQuery,
    FileWritten,
)

Result = TypeVar("Result")


class Files(Part):
    """The files of all projects."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.store = surroundings.store
        self.environment = surroundings.environment
        self.folders = ContentFolders(surroundings.projects, surroundings.environment)
        self.scratch = surroundings.data_folder / "scratch"
        # One writer: what a write expects of a file is still so when it replaces it.
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="files-writes")

    def operations(self) -> Sequence[Operation]:
        content, command = "/api/files/content", "agent.file"
        return (
            Operation(
                *("GET", "/api/files/tree", f"{command}.browse", "List a folder of a project."),
                *(self.browse, FileTree),
                query=FileTreeQuery,
            ),
            Operation(
                "GET", content, f"{command}.read", "Read a file of a project.", self.read, FileContent, query=FileQuery
            ),
            Operation(
                *("POST", content, f"{command}.write", "Write a file of a project."),
                *(self.write, FileWritten),
                body=FileToWrite,
            ),
            Operation(
                *("GET", "/api/files/diff", f"{command}.diff", "Show what changed in a file or a folder."),
                *(self.diff, FileDiff),
                query=FileDiffQuery,
                lasts=True,
            ),
        )

    async def start(self) -> None:
        # What a process that died was comparing.
        shutil.rmtree(self.scratch, ignore_errors=True)

    async def close(self) -> None:
        await asyncio.to_thread(self.writer.shutdown)

    async def browse(self, request: ApiRequest[FileTreeQuery, None]) -> FileTree:
        """Return a page of a folder's entries."""
        folder = await self._folder(request.query.project_id)
        return await asyncio.to_thread(_with_root, folder, lambda root: browse(root, request.query))

    async def read(self, request: ApiRequest[FileQuery, None]) -> FileContent:
        """Return a file's content: text, or base64 where the bytes are no UTF-8."""
        path = request.query.path
        folder = await self._folder(request.query.project_id)
        return await asyncio.to_thread(_with_root, folder, lambda root: content_of(path, root.read(path, MOST_BYTES)))

    async def write(self, request: ApiRequest[None, FileToWrite]) -> FileWritten:
        """Put content at a path, whole or not at all."""
        wanted = request.body
        data = bytes_of(wanted)
        folder = await self._folder(wanted.project_id)
        in_git = request.caller.may(SHELL)

        def work(root: Root) -> FileWritten:
            change = write(root, wanted.path, data, MOST_BYTES, wanted.expected_sha256, in_git=in_git)
            return FileWritten(path=wanted.path, size=len(data), sha256=digest_of(data), change=change)

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.writer, _with_root, folder, work)

    async def diff(self, request: ApiRequest[FileDiffQuery, None]) -> FileDiff:
        """Return what changed at a path."""
        # 8 ms that only a comparison needs.
        from nexus.kernel.files.diff import Comparison

        folder = await self._folder(request.query.project_id)
        root = await asyncio.to_thread(Root, folder)
        self.scratch.mkdir(mode=0o700, exist_ok=True)
        with root:
            return await Comparison(root, self.environment, request.query, self.scratch).run()

    async def _folder(self, project_id: str) -> Path:
        row = await self.store.read(lambda connection: find(connection, projects, project_id))
        return self.folders.of(row)


def _with_root(folder: Path, work: Callable[[Root], Result]) -> Result:
    with Root(folder) as root:
        return work(root)


def content_of(path: str, found: FileData) -> FileContent:
    """Return a file as the API tells it."""
    try:
        content, encoding = found.data.decode(), "utf-8"
    except UnicodeDecodeError:
        content, encoding = base64.b64encode(found.data).decode(), "base64"
    return FileContent.model_validate(
        {
            "path": path,
            "size": len(found.data),
            "sha256": found.sha256,
            "modified_at": datetime.fromtimestamp(found.status.st_mtime, UTC),
            "encoding": encoding,
            "content": content,
        }
    )


def bytes_of(wanted: FileToWrite) -> bytes:
    """Return the bytes to write. Raises `ValidationError` for what is no base64, and for too many."""
    try:
        data = (
            base64.b64decode(wanted.content, validate=True) if wanted.encoding == "base64" else wanted.content.encode()
        )
    except (binascii.Error, ValueError):
        raise ValidationError.because(f"The content is no {wanted.encoding}.", field="content") from None
    if len(data) > MOST_BYTES:
        raise ValidationError.because(f"A file is written with at most {MOST_BYTES} bytes.", field="content")
    return data
