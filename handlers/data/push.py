"""Pushing a file: its parts are sent side by side, and it is digested once more beside them as it lies there."""

import asyncio
import hashlib
import os
import stat
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypeVar

from nexus.handlers.data.transfer import CHUNK, Stopped, Transfer
from nexus.schemas.command import ExecutionContext
from nexus.schemas.data import Completion, NewUpload, Part, Stored, Upload
from nexus.schemas.errors import (
    Conflict,
    FileChanged,
    NexusError,
    NotFound,
    ReportedError,
    TimeoutExceeded,
    TransferBroken,
    UploadExpired,
    UploadIncomplete,
    ValidationError,
)

SENDERS = 3
"""How many parts are sent side by side."""

MOST_SENT_AGAIN = 5
COMPLETE_SECONDS = 3600.0
"""How long the kernel may take to read and to make durable what it has."""

Item = TypeVar("Item", bound=Stored)
_Identity = tuple[int, int, int, int]


class LocalFile:
    """A file to be pushed, held open so that it stays the same one. Raises `NotFound`, `ValidationError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise NotFound(resource="file", reference=str(path), hint="Name a file that is there.") from None
        except OSError as error:
            raise ValidationError.because(f"{path} cannot be read: {error.strerror}.", field="path") from error
        status = os.fstat(self.descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise ValidationError.because(f"{path} is no file.", field="path", hint="Push one file at a time.")
        self.size = status.st_size
        self._identity = _identity(status)

    def resume_key(self, *words: str) -> str:
        """Return what tells this file, as it is now, and what it is pushed as from all others."""
        told = [*words, os.uname().nodename, str(self.path.resolve()), *map(str, self._identity)]
        return hashlib.sha256("\0".join(told).encode("utf-8", "surrogateescape")).hexdigest()

    def check(self) -> None:
        """Raise `FileChanged` when it was written to since it was opened."""
        if _identity(os.fstat(self.descriptor)) != self._identity:
            raise FileChanged(path=str(self.path))

    def read(self, offset: int, most: int) -> bytes:
        """Read at an offset. Raises `FileChanged` when the file ends there."""
        chunk = os.pread(self.descriptor, most, offset)
        if not chunk:
            raise FileChanged(path=str(self.path))
        return chunk

    def digest(self, stop: threading.Event | None = None) -> str:
        """Return the SHA-256 of all of it. Blocks. Raises `FileChanged`, and `Stopped` when it is to stop."""
        digest, position = hashlib.sha256(), 0
        while position < self.size:
            if stop is not None and stop.is_set():
                raise Stopped
            chunk = self.read(position, min(CHUNK, self.size - position))
            digest.update(chunk)
            position += len(chunk)
        return digest.hexdigest()

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class Push(Transfer[Item]):
    """One file on its way to the kernel. `at` is the path of the API that keeps its kind."""

    direction = "push"

    def __init__(
        self, context: ExecutionContext[Any], at: str, result: type[Item], file: LocalFile, new: NewUpload
    ) -> None:
        super().__init__(context, new.name)
        self._items_at = at
        self._at = f"{at}/uploads"
        self._result = result
        self._file = file
        self._new = new
        self.meter.total = file.size

    async def _run(self) -> Item:
        digesting = asyncio.create_task(self.in_thread(self._file.digest, self.stop))
        try:
            try:
                upload = await self.ask(lambda: self.context.api.post(self._at, Upload, body=self._new))
            except NexusError as error:
                return await self._made_before(error, digesting)
            self.begin()
            self.meter.settle(upload.transferred)
            await self._send_parts(upload)
            sha256 = await digesting
            for _ in range(MOST_SENT_AGAIN):
                self._file.check()
                try:
                    return await self._complete(upload, sha256)
                except NexusError as error:
                    if error.entry().code != UploadIncomplete.code:
                        raise
                # Somebody in between acknowledged what never arrived.
                await self._send_parts(upload)
            return await self._complete(upload, sha256)
        finally:
            self.stop.set()
            await asyncio.wait((digesting,))
            self._file.close()
            if not digesting.cancelled():
                digesting.exception()

    async def _made_before(self, error: NexusError, digesting: "asyncio.Task[str]") -> Item:
        """Return the item in the way if it is this very one: its push was through when the process behind it died."""
        entry = error.entry()
        if self.context.printed is None or entry.code != Conflict.code or "id" not in entry.details:
            raise error
        at = {"id": str(entry.details["id"])}
        item = await self.ask(lambda: self.context.api.get(f"{self._items_at}/{{id}}", self._result, at=at))
        if item.sha256 != await digesting:
            raise error
        return item

    async def _complete(self, upload: Upload, sha256: str) -> Item:
        path, body = f"{self._at}/{{id}}/complete", Completion(sha256=sha256)
        patience = time.monotonic() + COMPLETE_SECONDS
        while True:
            try:
                return await self.ask(
                    lambda: self.context.api.post(path, self._result, at={"id": upload.id}, body=body)
                )
            except TransferBroken as error:
                # It is still made durable, perhaps: whoever asks again waits for the same.
                if error.data.get("cause") != TimeoutExceeded.code or time.monotonic() > patience:
                    raise

    async def _send_parts(self, upload: Upload) -> None:
        """Send what is missing; an upload that is not there any more may have been completed before."""
        queue: asyncio.Queue[Part | None] = asyncio.Queue(SENDERS)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(SENDERS):
                    group.create_task(self._sender(upload, queue))
                async for part in self._missing(upload):
                    await queue.put(part)
                for _ in range(SENDERS):
                    await queue.put(None)
        except* ReportedError as errors:
            told = errors.exceptions[0]
            if not (isinstance(told, NexusError) and told.entry().code == UploadExpired.code):
                raise told from None
        except* NexusError as errors:
            raise errors.exceptions[0] from None

    async def _missing(self, upload: Upload) -> AsyncIterator[Part]:
        after, more = 0, True
        while more:
            page = await self.ask(lambda after=after: self._page(upload.id, after))  # type: ignore[misc]
            for part in page.parts:
                after = part.number
                yield part
            more = page.more

    async def _page(self, upload_id: str, after: int, limit: int = 100) -> Upload:
        query = {"after": after, "limit": limit}
        return await self.context.api.get(f"{self._at}/{{id}}", Upload, at={"id": upload_id}, query=query)

    async def _sender(self, upload: Upload, queue: "asyncio.Queue[Part | None]") -> None:
        while (part := await queue.get()) is not None:
            await self._send(upload, part)

    async def _send(self, upload: Upload, part: Part) -> None:
        url: str | None = part.url

        async def put() -> None:
            nonlocal url
            if url is None:
                # The one we had may be too old by now. A part that is not missing any more has arrived after all.
                page = await self.within(lambda: self._page(upload.id, part.number - 1, 1))
                if not page.parts or page.parts[0].number != part.number:
                    return
                url = page.parts[0].url
            wire, this = await self.wire(), url
            url = None
            await self.in_thread(wire.put, this, self._chunks(part), part.size)

        await self.patiently(put)
        self.meter.settle(part.size, part.number)

    def _chunks(self, part: Part) -> Iterator[bytes]:
        sent = 0
        while sent < part.size:
            if self.stop.is_set():
                raise Stopped
            chunk = self._file.read(part.offset + sent, min(CHUNK, part.size - sent))
            yield chunk
            sent += len(chunk)
            self.meter.move(part.number, sent)
