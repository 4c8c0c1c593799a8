"""The SHA-256 of a file that is still being written: it follows the bytes that are there for good."""

import asyncio
import hashlib
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")
CHUNK = 1024 * 1024
STRETCH = 32 * CHUNK
"""So much is digested in one go on a thread; between two of them others have their turn."""


class FollowingDigest:
    """Reads what was written behind the writers, so that at the end next to nothing is left to read.

    The bytes are read from the file and not taken on their way: what is digested is what is kept.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self._position = 0
        self._there = 0
        self._task: asyncio.Task[None] | None = None

    def follow(self, there: int) -> None:
        """Say that the first `there` bytes will not change any more."""
        self._there = max(self._there, there)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._advance())
            # What fails here fails again when the result is asked for, and is told there.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def result(self, size: int) -> str:
        """Return the digest of the first `size` bytes, all of which are there. Raises `OSError`."""
        while self._position < size:
            self.follow(size)
            if self._task is not None:
                await asyncio.shield(self._task)
        return self._hash.hexdigest()

    async def aclose(self) -> None:
        """Wait until nobody reads the file; bounded by one stretch."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _advance(self) -> None:
        while self._position < self._there:
            await finished(asyncio.to_thread(self._read, min(self._there, self._position + STRETCH)))

    def _read(self, end: int) -> None:
        buffer = bytearray(CHUNK)
        view = memoryview(buffer)
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            while self._position < end:
                count = os.preadv(descriptor, [view[: end - self._position]], self._position)
                if count == 0:
                    raise EOFError(f"{self._path} ends at {self._position}")
                self._hash.update(view[:count])
                self._position += count
        finally:
            os.close(descriptor)


async def finished(work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for a thread's work to its end, however often we are cancelled: what it uses must not be taken from it."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
