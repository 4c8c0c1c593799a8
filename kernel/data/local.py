"""The local store: a folder of files named by their content, which signs its own URLs."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from nexus.kernel.data.digest import CHUNK, finished
from nexus.kernel.data.draft import DraftFile
from nexus.kernel.data.signing import UrlSigner
from nexus.kernel.data.store import Draft, Survey
from nexus.kernel.store.failures import told_as_storage
from nexus.schemas.errors import (
    ChecksumMismatch,
    Conflict,
    StorageCorrupt,
    UploadExpired,
    UploadIncomplete,
)

PART_BYTES = 16 * 1024 * 1024
MOST_PARTS = 10_000
MISSING_TOLD = 20
BYTES_AT = "/blobs/bytes"
PARTS_AT = "/blobs/parts"

_PLACE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}-[0-9a-f]{8}")
_UPLOAD = re.compile(r"[a-z]{3}_[0-9a-f]{32}")


class LocalBlobs:
    """Bytes below one folder, which nobody else writes to.

    A place is `ab/ab12…-89abcdef`: the content's digest and the end of the id of the upload that it came by. A file is
    written as a draft, made durable, and gets its place at once.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        """Make the folder where there is none; URLs are signed with the key. Raises storage errors."""
        self.signer = UrlSigner(key)
        self.folder = folder
        self._kept = folder / "sha256"
        self._drafts = folder / "drafts"
        self._open: dict[str, DraftFile] = {}
        with told_as_storage(folder):
            for made in (folder, self._kept, self._drafts):
                made.mkdir(mode=0o700, parents=True, exist_ok=True)

    def part_size(self, size: int) -> int:
        """16 MiB, and more only where that would be over 10,000 parts."""
        wanted = -(-size // MOST_PARTS)
        return max(PART_BYTES, -(-wanted // CHUNK) * CHUNK)

    async def begin(self, upload_id: str, size: int) -> str:
        """Return the upload's own id: nothing is written yet. Raises `Conflict` when there is no room for it."""
        with told_as_storage(self.folder):
            room = os.statvfs(self._drafts)
        free = room.f_bavail * room.f_frsize
        if free < size:
            # The disk is not full, and what is asked for is at fault: it is nothing that the kernel failed at.
            raise Conflict.because(
                f"There is no room for {size} bytes: {free} are free.",
                field="size",
                free=free,
                hint="nexus data dataset list --sort -size",
            )
        return upload_id

    async def arrived(self, draft: Draft) -> frozenset[int]:
        return frozenset(self.file(draft).arrived)

    def part_url(self, draft: Draft, number: int, expires: int) -> str:
        return self.signer.signed("PUT", f"{PARTS_AT}/{draft.upload_id}/{number}", expires)

    async def put(self, draft: Draft, number: int, content: bytes) -> None:
        with told_as_storage(self.folder):
            writer = await self.file(draft).writer(number)
            if writer is not None:
                await writer.write([content])
                await writer.done()

    def file(self, draft: Draft) -> DraftFile:
        """Return the upload's file, which may be empty as yet. Raises storage errors."""
        if draft.upload_id not in self._open:
            with told_as_storage(self.folder):
                self._open[draft.upload_id] = DraftFile(str(self._drafts / checked_upload(draft.upload_id)), draft)
        return self._open[draft.upload_id]

    async def finish(self, draft: Draft, sha256: str) -> str:
        place = f"{sha256[:2]}/{sha256}-{draft.upload_id[-8:]}"
        target = self._kept / place
        if target.exists():
            # It was finished before, by a process that could not tell the database any more.
            self._open.pop(draft.upload_id, None)
            await self.forget(draft.upload_id)
            return place
        file = self.file(draft)
        missing = file.missing()
        if missing:
            raise UploadIncomplete(upload_id=draft.upload_id, count=len(missing), missing=missing[:MISSING_TOLD])
        with told_as_storage(self.folder):
            try:
                actual = await file.digest()
            except (FileNotFoundError, EOFError):
                # A power cut took bytes that had been counted.
                await self.drop(draft)
                raise UploadExpired(upload_id=draft.upload_id) from None
            if actual != sha256:
                await self.drop(draft)
                raise ChecksumMismatch(what="What arrived", actual=actual, expected=sha256)
            await finished(asyncio.to_thread(_settle, file.path, target, draft.size))
        file.forget_numbers()
        self._open.pop(draft.upload_id, None)
        return place

    async def drop(self, draft: Draft) -> None:
        with told_as_storage(self.folder):
            await self.file(draft).remove()
        self._open.pop(draft.upload_id, None)

    def url(self, place: str, filename: str, expires: int) -> str:
        return self.signer.signed("GET", f"{BYTES_AT}/{place}", expires, {"filename": filename})

    def open(self, place: str) -> int:
        """Return a descriptor of the bytes. Raises `StorageCorrupt` when they are not there."""
        path = self._kept / checked_place(place)
        with told_as_storage(self.folder):
            try:
                return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                raise StorageCorrupt(path=str(path), reason="the file is not there") from None

    async def read(self, place: str) -> AsyncIterator[bytes]:
        descriptor = self.open(place)
        try:
            while True:
                with told_as_storage(self.folder):
                    chunk = await asyncio.to_thread(os.read, descriptor, CHUNK)
                if not chunk:
                    return
                yield chunk
        finally:
            os.close(descriptor)

    async def remove(self, place: str) -> None:
        with told_as_storage(self.folder), suppress(FileNotFoundError):
            os.unlink(self._kept / checked_place(place))

    async def survey(self) -> Survey:
        return await asyncio.to_thread(self._survey)

    async def forget(self, upload_id: str) -> None:
        for name in (upload_id, f"{upload_id}.parts"):
            with told_as_storage(self.folder), suppress(FileNotFoundError):
                os.unlink(self._drafts / name)

    def belongs(self, place: str, upload_id: str) -> bool:
        return place.endswith(f"-{upload_id[-8:]}")

    async def close(self) -> None:
        for file in list(self._open.values()):
            await file.close()

    def _survey(self) -> Survey:
        with told_as_storage(self.folder):
            folders = os.listdir(self._kept)
            places = (f"{folder}/{name}" for folder in folders for name in os.listdir(self._kept / folder))
            drafts = {name.removesuffix(".parts") for name in os.listdir(self._drafts)}
            return Survey(frozenset(filter(_PLACE.fullmatch, places)), frozenset(filter(_UPLOAD.fullmatch, drafts)))


def checked_place(place: str) -> str:
    """Return a place that can be one of ours. Raises `StorageCorrupt`."""
    if not _PLACE.fullmatch(place):
        raise StorageCorrupt(path=place, reason="it is no place of the local store")
    return place


def digest_of(place: str) -> str:
    """Return the SHA-256 of what is at a place."""
    return place[3:67]


def checked_upload(upload_id: str) -> str:
    """Return an upload id that can be one of ours. Raises `UploadExpired`."""
    if not _UPLOAD.fullmatch(upload_id):
        raise UploadExpired(upload_id=upload_id)
    return upload_id


def _settle(draft: str, target: Path, size: int) -> None:
    """Make a whole file durable, and give it its place."""
    # Of no bytes nothing was written, and so there is no file as yet.
    making = 0 if size else os.O_CREAT
    descriptor = os.open(draft, os.O_RDWR | making | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    os.rename(draft, target)
    for folder in (target.parent, target.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
