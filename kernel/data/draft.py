"""A file that arrives in parts: each written to its place, in whatever order, by one sender at a time."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress

from nexus.kernel.data.digest import FollowingDigest, finished
from nexus.kernel.data.ranges import Span
from nexus.kernel.data.store import Draft
from nexus.schemas.errors import UploadExpired

NUMBER_BYTES = 4


class Superseded(Exception):
    """Another sender of the same part has come, or the upload was completed: what this one sends is not taken."""


class PartWriter:
    """One sender of one part. Chunks are written as they come; only `done` makes the part count."""

    def __init__(self, file: "DraftFile", number: int, span: Span) -> None:
        self.span = span
        self.number = number
        self.superseded = False
        self.lock = asyncio.Lock()
        self._file = file
        self._offset = span.first

    @property
    def left(self) -> int:
        """How many bytes of the part are still to come."""
        return self.span.end - self._offset

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Write what came. Raises `Superseded`, `OSError`, and `ValueError` when it is more than the part has."""
        size = sum(map(len, chunks))
        if size > self.left:
            raise ValueError("the body is longer than the part")
        async with self.lock:
            if self.superseded:
                raise Superseded
            await finished(asyncio.to_thread(self._file.write, chunks, self._offset))
            self._offset += size

    async def done(self) -> None:
        """Count the part as whole. Raises `Superseded`, `ValueError` when it is not whole."""
        if self.left:
            raise ValueError("the body is shorter than the part")
        async with self.lock:
            if self.superseded:
                raise Superseded
            await finished(asyncio.to_thread(self._file.note, self.number))
            self._file.count(self.number)
            self._file.leave(self)


class DraftFile:
    """The file of one upload and, beside it, the numbers of the parts that are whole.

    The numbers are written behind the bytes. A process that is killed loses neither; what a power cut loses is found
    by the digest, for the bytes are read again when a later process completes them.
    """

    def __init__(self, path: str, draft: Draft) -> None:
        self.draft = draft
        self.path = path
        self._noted = f"{path}.parts"
        self._digest = FollowingDigest(path)
        self._writers: dict[int, PartWriter] = {}
        self._closed = False
        self._next = 1
        self.arrived = self._read_numbers()
        self._follow()

    async def writer(self, number: int) -> PartWriter | None:
        """Return the writer of a part, None when it is there already. Raises `IndexError`, `UploadExpired`."""
        span = self.draft.parts.span(number)
        before = self._writers.get(number)
        if before is not None:
            # Its sender is as good as gone. What it is writing now ends before we begin.
            before.superseded = True
            async with before.lock:
                pass
        if self._closed:
            raise UploadExpired(upload_id=self.draft.upload_id)
        if number in self.arrived:
            return None
        writer = self._writers[number] = PartWriter(self, number, span)
        return writer

    def leave(self, writer: PartWriter) -> None:
        """Forget a writer."""
        if self._writers.get(writer.number) is writer:
            del self._writers[writer.number]

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not there."""
        return [number for number in range(1, self.draft.parts.count + 1) if number not in self.arrived]

    async def digest(self) -> str:
        """Return the SHA-256 of the whole file; from now on nothing is written to it. Raises `OSError`."""
        await self.close()
        return await self._digest.result(self.draft.size)

    async def close(self) -> None:
        """Take no more parts, and wait until nobody writes."""
        self._closed = True
        for writer in list(self._writers.values()):
            writer.superseded = True
            async with writer.lock:
                pass
        self._writers.clear()

    async def remove(self) -> None:
        """Remove the file and the numbers."""
        await self.close()
        await self._digest.aclose()
        for path in (self.path, self._noted):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def forget_numbers(self) -> None:
        """Remove the numbers alone: the file has its place."""
        with suppress(FileNotFoundError):
            os.unlink(self._noted)

    # What writers call; the first two on a thread.

    def write(self, chunks: Sequence[bytes], offset: int) -> None:
        """Write chunks at an offset. Blocks."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    count = os.pwrite(descriptor, view, offset)
                    view, offset = view[count:], offset + count
        finally:
            os.close(descriptor)

    def note(self, number: int) -> None:
        """Write down that a part is whole. Blocks."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._noted, flags, 0o600)
        try:
            os.write(descriptor, number.to_bytes(NUMBER_BYTES, "big"))
        finally:
            os.close(descriptor)

    def count(self, number: int) -> None:
        """Count a part that was written down."""
        self.arrived.add(number)
        self._follow()

    def _follow(self) -> None:
        parts = self.draft.parts
        self._next = parts.contiguous(self.arrived, self._next)
        if self._next > 1:
            self._digest.follow(parts.span(self._next - 1).end)

    def _read_numbers(self) -> set[int]:
        try:
            with open(self._noted, "rb") as file:
                noted = file.read()
        except FileNotFoundError:
            return set()
        whole = len(noted) - len(noted) % NUMBER_BYTES
        numbers = {int.from_bytes(noted[at : at + NUMBER_BYTES], "big") for at in range(0, whole, NUMBER_BYTES)}
        return {number for number in numbers if 1 <= number <= self.draft.parts.count}
