"""One reader of one session in the kernel: pulls its lines from the log, no further ahead than its window."""

import asyncio
from collections import deque
from collections.abc import Callable

from nexus.kernel.sessions.log import FRAME_BYTES, READ_BYTES, EventLog
from nexus.kernel.sessions.stream import Stream
from nexus.schemas.errors import SessionClosed, SessionNotFound
from nexus.schemas.protocol import AttachSession
from nexus.schemas.session import Session
from nexus.sessions.core.position import Batch
from nexus.sessions.transport import Heartbeat, Joined

HEARTBEAT_SECONDS = 15.0


class Attachment:
    """A `Channel` on the log. `changed` is called when the reader consumed something, `left` when it goes, once.

    One read of the file is held at the most: what the reader does not take stays in the log, and costs no memory.
    """

    def __init__(
        self,
        log: EventLog,
        joined: Joined,
        stream: Stream,
        asked: AttachSession,
        *,
        changed: Callable[[], None],
        left: Callable[["Attachment"], None],
    ) -> None:
        self.joined = joined
        self.interactive = asked.interactive
        self.seen = joined.after
        """The seq up to which the reader is through."""
        self._log = log
        self._stream = stream
        self._after = joined.after
        self._window = asked.window
        # Who has a window is behind a network; who has none pulls in this process.
        self._joined_bytes = READ_BYTES if asked.window is None else FRAME_BYTES
        self._sent: deque[tuple[int, int]] = deque()
        self._ahead = 0
        self._held: deque[Batch] = deque()
        self._room = asyncio.Event()
        self._changed = changed
        self._left = left
        self._open = True

    async def receive(self) -> Batch | Heartbeat:
        """Return the next batch, or a heartbeat when none comes for a while.

        Raises SessionGap, and SessionClosed behind the stream's end.
        """
        while True:
            await self._until_room()
            if not self._open:
                return Heartbeat(self._stream.landed)
            if not self._held:
                self._held.extend(await self._log.read(self._stream, self._read, joined=self._joined_bytes))
            if self._held:
                return self._take()
            if self._stream.ended and self._after >= self._stream.landed:
                raise SessionClosed(session_id=self._stream.session_id)
            if not await self._stream.wait(self._after, HEARTBEAT_SECONDS):
                return Heartbeat(self._stream.landed)

    async def consumed(self, seq: int) -> None:
        """Note that the reader is through with all lines up to `seq`."""
        self.seen = max(self.seen, min(seq, self._after))
        while self._sent and self._sent[0][0] <= self.seen:
            self._ahead -= self._sent.popleft()[1]
        self._room.set()
        self._changed()

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            self._room.set()
            self._left(self)

    @property
    def _read(self) -> int:
        return self._held[-1].last if self._held else self._after

    def _take(self) -> Batch:
        batch = self._held.popleft()
        if self._window is not None:
            whole, batch = batch, fitting(batch, self._window - self._ahead)
            if batch is not whole:
                self._held.appendleft(whole.after(batch.last))
            self._sent.append((batch.last, len(batch.lines)))
            self._ahead += len(batch.lines)
        self._after = batch.last
        return batch

    async def _until_room(self) -> None:
        """Wait until a good part of the window is free: lines in dribs cost more than they tell."""
        window = self._window
        while window is not None and self._open and self._ahead and window - self._ahead < window // 4:
            self._room.clear()
            await self._room.wait()


def fitting(batch: Batch, room: int) -> Batch:
    """Return the first lines of a batch that fit into `room` bytes; one line at least."""
    if len(batch.lines) <= room:
        return batch
    end = batch.lines.rfind(b"\n", 0, room) + 1 or batch.lines.index(b"\n") + 1
    return batch.until(batch.first - 1 + batch.lines.count(b"\n", 0, end))


def place(stream: Stream, asked: AttachSession) -> int:
    """Return the position behind which an attachment starts. Raises SessionGap when it is not kept."""
    if asked.after is not None:
        stream.check(asked.after)
        return asked.after
    if asked.tail is not None:
        return max(stream.trimmed, stream.landed - asked.tail)
    return stream.trimmed


def joined(session: Session, stream: Stream, after: int) -> Joined:
    """Say where an attachment starts."""
    if stream.session_id != session.session_id:
        raise SessionNotFound(session_id=session.session_id)
    return Joined(session, stream.epoch, after, stream.trimmed + 1, stream.landed)
