"""One reader of one session in the kernel: pulls its lines from the log, no further ahead than its window."""

import asyncio
from collections.abc import Callable

from nexus.kernel.sessions.log import READ_BYTES, EventLog
from nexus.kernel.sessions.stream import Stream
from nexus.schemas.errors import SessionNotFound
from nexus.schemas.protocol import AttachSession
from nexus.schemas.session import Session
from nexus.sessions.core.position import Batch
from nexus.sessions.transport import Heartbeat, Joined

HEARTBEAT_SECONDS = 15.0


class Attachment:
    """A `Channel` on the log. `changed` is called when the reader consumed something, `left` when it goes, once.

    Nothing is read ahead: what the reader does not take stays in the log, and costs no memory.
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
        self._sent: list[tuple[int, int]] = []
        self._ahead = 0
        self._room = asyncio.Event()
        self._changed = changed
        self._left = left
        self._open = True

    async def receive(self) -> Batch | Heartbeat:
        """Return the next batch, or a heartbeat when none comes for a while. Raises SessionGap."""
        return (await self.receive_many(READ_BYTES))[0]

    async def receive_many(self, most_bytes: int) -> list[Batch | Heartbeat]:
        """Return one batch, and more that are there already, up to about `most_bytes`; or one heartbeat."""
        while True:
            room = most_bytes if self._window is None else min(most_bytes, self._window - self._ahead)
            if room <= 0:
                await self._until_room()
                continue
            batches = await self._log.read(self._stream, self._after, room)
            if batches:
                return [*self._taken(batches, room)]
            if not await self._stream.wait(self._after, HEARTBEAT_SECONDS) or not self._open:
                return [Heartbeat(self._stream.landed)]

    async def consumed(self, seq: int) -> None:
        """Note that the reader is through with all lines up to `seq`."""
        self.seen = max(self.seen, min(seq, self._after))
        while self._sent and self._sent[0][0] <= self.seen:
            self._ahead -= self._sent.pop(0)[1]
        self._room.set()
        self._changed()

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            self._left(self)

    def _taken(self, batches: list[Batch], room: int) -> list[Batch]:
        if self._window is not None:
            batches = [fitting(batches[0], room), *batches[1:]] if len(batches) == 1 else batches
            self._sent += [(batch.last, len(batch.lines)) for batch in batches]
            self._ahead += sum(len(batch.lines) for batch in batches)
        self._after = batches[-1].last
        return batches

    async def _until_room(self) -> None:
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
