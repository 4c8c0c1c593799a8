"""One epoch of one session in memory: where it stands, its newest batches, and who waits for more."""

import asyncio
from collections import deque

from nexus.kernel.sessions.database import Head
from nexus.schemas.errors import SessionGap
from nexus.sessions.core.position import Batch
from nexus.sessions.lines import LineWriter

RECENT_BYTES = 128 * 1024
"""What readers that keep up share in memory; who lags further reads the file."""


class Stream:
    """The live state of an epoch. `landed` is the newest seq that anyone may see: it is committed.

    `writer.seq` runs ahead of it while lines are on their way to the disk; `unlanded` counts their bytes.
    """

    def __init__(self, key: int, session_id: str, epoch: int, head: Head) -> None:
        self.key = key
        self.session_id = session_id
        self.epoch = epoch
        self.writer = LineWriter(session_id, seq=head.last, moment=head.moment)
        self.landed = head.last
        self.trimmed = head.trimmed
        self.ended = head.ended
        self.bytes = head.bytes
        self.unlanded = 0
        self.ending = head.ended
        self._recent: deque[Batch] = deque()
        self._recent_bytes = 0
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def idle(self) -> bool:
        """Whether nobody misses this object when it is dropped from memory."""
        return not self._waiters and not self.unlanded

    def land(self, batch: Batch) -> None:
        """Make a committed batch visible and wake who waits."""
        self.landed = batch.last
        self.ended = self.ended or batch.end
        self.bytes += len(batch.lines)
        self._recent.append(batch)
        self._recent_bytes += len(batch.lines)
        while self._recent_bytes > RECENT_BYTES and len(self._recent) > 1:
            self._recent_bytes -= len(self._recent.popleft().lines)
        self.wake()

    def wake(self) -> None:
        """Let everyone who waits look again."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def trim(self, last: int, size: int) -> None:
        """Forget the lines up to `last`: they are gone from the file."""
        self.trimmed = max(self.trimmed, last)
        self.bytes -= size
        while self._recent and self._recent[0].last <= last:
            self._recent_bytes -= len(self._recent.popleft().lines)

    def recent(self, after: int, most_bytes: int) -> list[Batch] | None:
        """Return the batches behind `after` from memory, one at least; None when they must be read from the file."""
        if not self._recent or after < self._recent[0].first - 1:
            return None
        found: list[Batch] = []
        for batch in self._recent:
            if batch.last <= after:
                continue
            if found and most_bytes < len(batch.lines):
                break
            found.append(batch)
            most_bytes -= len(batch.lines)
        return found

    def check(self, after: int) -> None:
        """Raise SessionGap unless every line behind `after` is kept, and `after` itself was ever written."""
        if after < self.trimmed:
            raise gap(self, after, "is no longer kept")
        if after > self.landed:
            raise gap(self, after, "was never reached")

    async def wait(self, after: int, seconds: float) -> bool:
        """Wait until there is a line behind `after`, or the end. Return whether there is, within `seconds`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.landed <= after and not self.ended:
            rest = deadline - loop.time()
            if rest <= 0:
                return False
            await self._next_landing(rest)
        return True

    async def _next_landing(self, seconds: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return
        finally:
            self._waiters.discard(waiter)


def gap(stream: Stream, after: int, why: str) -> SessionGap:
    """Tell what a reader at `after` cannot have."""
    missing = (after + 1, stream.trimmed) if after < stream.trimmed else (stream.landed + 1, after)
    return SessionGap.because(
        f"The session {stream.session_id} cannot go on behind event {after}: it {why}.",
        hint=f"nexus session live events {stream.session_id}",
        session_id=stream.session_id,
        epoch=stream.epoch,
        after=after,
        missing={"first": missing[0], "last": missing[1]},
        oldest=stream.trimmed + 1,
        newest=stream.landed,
    )
