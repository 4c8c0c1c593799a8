"""Artifacts that the kernel makes itself: their bytes are stored first, and count when a transaction says so.

A kernel that dies in between leaves an upload that nobody goes on with, which is given up as any other.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from sqlalchemy import Connection

from nexus.kernel.data.contents import remove_released
from nexus.kernel.data.items import Artifacts
from nexus.kernel.data.kept import KeptBytes
from nexus.kernel.data.store import BlobStore, Draft
from nexus.kernel.data.uploads import Uploads, draft_of, forget, upload_row
from nexus.kernel.store.store import Store
from nexus.schemas.data import NewArtifact
from nexus.schemas.errors import Conflict


@dataclass(frozen=True, slots=True)
class Staged:
    """A file whose bytes are stored, and which is no artifact yet."""

    upload_id: str
    sha256: str
    place: str


class Staging:
    """Stages files, and makes artifacts of them in somebody's transaction."""

    def __init__(self, store: Store, kept: KeptBytes) -> None:
        self._store = store
        self._kept = kept
        self._uploads = Uploads("artifact", store, kept.open, Artifacts(store, kept.open))

    async def stage(self, file: BinaryIO, size: int, new: NewArtifact) -> Staged:
        """Store `size` bytes of an open file.

        Raises storage errors, `BackendUnavailable`, and `Conflict` when there is no room or the file has fewer bytes.
        """
        blobs = await self._kept.open()
        item = new.model_dump(mode="json", by_alias=False, exclude={"size", "resume_key"})
        row = await self._uploads.begun(blobs, item, size)
        try:
            sha256 = await _send(file, blobs, draft_of(row), new.filename)
            return Staged(row.id, sha256, await blobs.finish(draft_of(row), sha256))
        except BaseException:
            await self._give_up(row.id)
            raise

    def keep(self, connection: Connection, staged: Sequence[Staged]) -> list[str]:
        """Make artifacts of what was staged, inside a transaction, and return their ids. Raises `UploadExpired`."""
        return [self._uploads.made(connection, each.upload_id, each.sha256, each.place).id for each in staged]

    async def drop(self, staged: Sequence[Staged]) -> None:
        """Give up what was staged: the transaction that was to keep it did not come to be."""
        blobs = await self._kept.open()
        for each in staged:
            await blobs.remove(each.place)
            await self._give_up(each.upload_id)

    async def settle(self) -> None:
        """Remove bytes that were staged and that another item had already. To be called behind the transaction."""
        await remove_released(self._store, self._kept.open)

    async def _give_up(self, upload_id: str) -> None:
        row = await self._store.read(lambda connection: upload_row(connection, upload_id))
        blobs = await self._kept.open()
        await blobs.drop(draft_of(row))
        await self._store.write(lambda connection: forget(connection, upload_id))


async def _send(file: BinaryIO, blobs: BlobStore, draft: Draft, filename: str) -> str:
    """Send a file part by part, and return the SHA-256 of what was sent."""
    digest = hashlib.sha256()
    for number in range(1, draft.parts.count + 1):
        size = draft.parts.span(number).size
        content = await asyncio.to_thread(file.read, size)
        if len(content) != size:
            raise Conflict.because(f"{filename!r} became shorter while it was read.", field="artifacts")
        await asyncio.to_thread(digest.update, content)
        await blobs.put(draft, number, content)
    return digest.hexdigest()
