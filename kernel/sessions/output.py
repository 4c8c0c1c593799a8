"""A driver's face of its session: what it was asked to be, and where its events go."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from nexus.kernel.sessions import rows
from nexus.kernel.sessions.log import Entry, EventLog
from nexus.kernel.sessions.record import Record
from nexus.schemas.errors import NexusError, SessionClosed
from nexus.schemas.event import EventName
from nexus.schemas.session import CallerSurroundings, Session, SessionStatus
from nexus.sessions import lines


class SessionOutput:
    """Appends to one epoch of one session. `ended` is called once the end is committed."""

    def __init__(self, log: EventLog, record: Record, epoch: int, ended: Callable[[], None]) -> None:
        self.epoch = epoch
        self.surroundings: CallerSurroundings | None = None
        """What the command that made the session gives its program; None when the kernel has been another since."""
        self.last = 0
        """The seq of the newest event that was appended here."""
        self._log = log
        self._record = record
        self._ended = ended
        self._over = False

    @property
    def session(self) -> Session:
        return self._record.session

    @property
    def options(self) -> Mapping[str, Any]:
        """What the session was made with beside its context."""
        return self._record.options

    async def append(
        self,
        payloads: Sequence[str],
        *,
        event: EventName = "data",
        mark: tuple[str, int] | None = None,
        marks: Sequence[tuple[str, int]] = (),
    ) -> int:
        """Append an event a payload (`nexus.sessions.lines` writes them); return the last seq once it is committed.

        `mark` (source, position) and `marks` are committed in the same transaction; `position` gives them back. It
        waits while too much is on its way to the disk, and while the disk is full. Raises SessionClosed behind the end.
        """
        self.last = await self._log.append(self.session.session_id, payloads, event=event, mark=mark, marks=marks)
        return self.last

    async def position(self, source: str) -> int:
        """Return the position of a source that was committed with an append, 0 when there is none."""
        return await self._log.mark(source)

    def unmark(self, sources: str) -> None:
        """Forget the positions of the sources that begin so: nothing more comes of them."""
        end = f"{sources}\U0010ffff"
        self._log.note(("DELETE FROM mark WHERE source >= ? AND source < ?", (sources, end)))

    async def newest(self, events: int) -> list[bytes]:
        """Return the lines of so many of the newest events that are kept, the oldest of them first."""
        stream = await self._log.stream(self.session.session_id)
        after, found = max(stream.trimmed, stream.landed - events), []
        while after < stream.landed:
            batches = await self._log.read(stream, after)
            found += [line for batch in batches for line in batch.lines.splitlines()]
            after = batches[-1].last
        return found

    async def reached(self) -> int:
        """Return the seq of the newest event of the stream, also of those that an earlier process appended."""
        return (await self._log.stream(self.session.session_id)).landed

    async def read(self, after: int) -> AsyncIterator[bytes]:
        """Yield the lines behind `after` that are there by now, a batch at a time. Raises SessionGap."""
        stream = await self._log.stream(self.session.session_id)
        newest = stream.landed
        while after < newest:
            for batch in await self._log.read(stream, after):
                yield batch.lines
                after = batch.last

    async def status(self, state: lines.SessionState, message: str, *, mark: tuple[str, int] | None = None) -> int:
        return await self.append([lines.status(state, message)], event="status", mark=mark)

    async def error(self, error: NexusError) -> int:
        return await self.append([lines.failure(error)], event="error")

    async def describe(self, **metadata: Any) -> None:
        """Change what the session's object tells under `metadata`."""
        self.session.metadata.update(metadata)
        await self._log.run(lambda connection: rows.update(connection, self._record))

    async def stay(self) -> None:
        """Keep the session when nobody reads it: something is at work that would end with it."""
        self._record.idle_seconds = None
        await self._log.run(lambda connection: rows.update(connection, self._record))

    async def end(self, reason: str, exit_code: int | None = None, status: SessionStatus = "closed") -> None:
        """Append the stream's end, after everything else; only the first call counts."""
        if self._over:
            return
        self._over = True
        self.session.status = status
        stream = await self._log.stream(self.session.session_id)
        if stream.epoch != self.epoch:
            raise SessionClosed(session_id=self.session.session_id)
        payload = lines.close(reason, exit_code, stream.writer.seq + 1)
        closed = ("UPDATE session SET closed_at = ? WHERE key = ?", (self._log.now(), stream.key))
        self.last = await self._log.put(
            stream, Entry([payload], "close", end=True, more=(rows.updating(self._record), closed))
        )
        self._ended()
