"""Chunks that came while the last ones were written, as one batch: a slow disk makes larger batches, not later ones."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from nexus.kernel.ai.chunks import Chunk
from nexus.schemas.errors import TimeoutExceeded

MOST_AHEAD = 1000
CLOSE_SECONDS = 10.0


class Gathered:
    """What a back end says, in batches, read at most `MOST_AHEAD` chunks ahead of whoever takes them.

    Iterating raises what the back end raises, behind what it said before, and `TimeoutExceeded` when it says nothing
    for so many seconds. `stop` ends the iteration at once.
    """

    def __init__(self, chunks: AsyncGenerator[Chunk], seconds: float) -> None:
        self._seconds = seconds
        self._waiting: deque[Chunk] = deque()
        self._stopped = False
        self._came = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._reader = asyncio.create_task(self._read(chunks))
        self._reader.add_done_callback(lambda _: self._came.set())

    async def __aiter__(self) -> AsyncIterator[list[Chunk]]:
        while not self._stopped:
            if self._waiting:
                batch = list(self._waiting)
                self._waiting.clear()
                self._room.set()
                yield batch
            elif self._reader.done():
                await self._reader
                return
            else:
                self._came.clear()
                await self._came.wait()

    def stop(self) -> None:
        """End the iteration, and the back end's work; what was read and not taken is dropped."""
        self._stopped = True
        self._came.set()
        self._reader.cancel()

    async def aclose(self) -> None:
        """Wait until the back end has let go, for some seconds. Nothing is raised."""
        self._reader.cancel()
        await asyncio.wait((self._reader,), timeout=CLOSE_SECONDS)

    async def _read(self, chunks: AsyncGenerator[Chunk]) -> None:
        async with aclosing(chunks):
            while True:
                try:
                    async with asyncio.timeout(self._seconds):
                        chunk = await anext(chunks)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise TimeoutExceeded(
                        seconds=self._seconds, hint="nexus settings config set --key ai.timeout --value 900"
                    ) from None
                await self._room.wait()
                self._waiting.append(chunk)
                self._came.set()
                if len(self._waiting) >= MOST_AHEAD:
                    self._room.clear()
