"""The event log: numbers events, commits them before anyone sees them, and hands readers whole lines by position."""

import asyncio
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nexus.kernel.sessions.boot import boot_id
from nexus.kernel.sessions.database import LogDatabase, Row, Statement
from nexus.kernel.sessions.retention import Retention, Trimmed
from nexus.kernel.sessions.stream import Stream, gap
from nexus.kernel.sessions.writer import ROW_BYTES, Write, Writer
from nexus.kernel.settings import Limits
from nexus.schemas.errors import BackendError, SessionClosed, SessionGap, SessionNotFound, ValidationError
from nexus.schemas.event import EventName
from nexus.sessions.core.position import Batch, coalesced

MOST_LINE_BYTES = 1024 * 1024
"""A payload is at most so large: what streams more cuts it into events."""
MOST_UNLANDED_BYTES = 512 * 1024
"""So much of one session may be on its way to the disk; then its writer waits."""
LINE_OVERHEAD = 120
"""About what a line has around its payload."""
READ_BYTES = 512 * 1024
FRAME_BYTES = 128 * 1024
"""What goes over a network is joined up to so much; a reader to whom that does not get through asks for less."""
READ_THREADS = 2
RETENTION_SECONDS = 30.0
MOST_STREAMS_IN_MEMORY = 1024

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Entry:
    """Events of one moment. `marks` (source, position) and `more` are committed in the same transaction."""

    payloads: Sequence[str]
    event: EventName = "data"
    marks: Sequence[tuple[str, int]] = ()
    end: bool = False
    more: tuple[Statement, ...] = ()

    @property
    def statements(self) -> tuple[Statement, ...]:
        return (*self.more, *(("INSERT OR REPLACE INTO mark (source, position) VALUES (?, ?)", m) for m in self.marks))


class EventLog:
    """Every session's events, in one file, from one event loop.

    `append` returns when its lines are committed; only then can `read` see them. `clock` gives nanoseconds since 1970.
    """

    def __init__(self, path: Path, *, limits: Limits | None = None, clock: Callable[[], int] = time.time_ns) -> None:
        self.path = path
        self.limits = limits or Limits()
        self.stalled: BackendError | None = None
        self._clock = clock
        self._database = LogDatabase(path, quota_bytes=self.limits.quota_bytes)
        self._retention = Retention(self._database, self.limits, clock=clock, trimmed=self._from_thread_trimmed)
        self._writer = Writer(
            self._database,
            landed=self._from_thread_landed,
            stalled=self._from_thread_stalled,
            chore=self._retention.slice,
        )
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="nexus-log-reader")
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._by_key: dict[tuple[int, int], Stream] = {}
        self._landing: asyncio.Event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._chores: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the file and start the writer. Raises the storage errors of `schemas/errors`."""
        self._loop = asyncio.get_running_loop()
        await self._in_thread(self._database.open)
        await self._in_thread(lambda: _begin(self._database, boot_id()))
        self._writer.start()
        self._chores = asyncio.create_task(self._keep_limits())

    async def close(self) -> None:
        """Commit what was appended, and close the file."""
        if self._chores is not None:
            self._chores.cancel()
        await self._in_thread(self._writer.stop)
        for stream in self._streams.values():
            stream.wake()
        await self._in_thread(lambda: _end(self._database))
        self._threads.shutdown(wait=True)
        self._database.close()

    # -- appending

    async def append(
        self,
        session_id: str,
        payloads: Sequence[str],
        *,
        event: EventName = "data",
        mark: tuple[str, int] | None = None,
        marks: Sequence[tuple[str, int]] = (),
    ) -> int:
        """Append an event for each payload and return the last one's seq, once all are committed.

        Waits while too much of the session is on its way to the disk. `mark` (source, position) and `marks` are
        committed in the same transaction. Raises SessionClosed behind the end, SessionNotFound, ValidationError for a
        payload of more than `MOST_LINE_BYTES`.
        """
        stream = await self.stream(session_id)
        while stream.unlanded > MOST_UNLANDED_BYTES:
            await self._next_landing()
        return await self.put(stream, Entry(payloads, event, [*marks, mark] if mark else marks))

    def put(self, stream: Stream, entry: Entry) -> "asyncio.Future[int]":
        """Number the events now, in the order of the calls; the future has the last seq when they are committed."""
        if stream.ending:
            raise SessionClosed(session_id=stream.session_id)
        batches = self._written(stream, entry)
        last = stream.writer.seq
        size = sum(len(batch.lines) for batch in batches)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        stream.unlanded += size
        stream.ending = entry.end

        def settle(error: BaseException | None) -> None:
            stream.unlanded -= size
            self._landing.set()
            _settle(future, last, error)

        self._writer.put(
            Write(
                lambda error: self._call(settle, error),
                rows=tuple(Row(stream.key, batch, stream.writer.moment) for batch in batches),
                statements=entry.statements,
            )
        )
        return future

    def _written(self, stream: Stream, entry: Entry) -> list[Batch]:
        """Write the lines, cut into batches of about a row's size."""
        if any(len(payload) > MOST_LINE_BYTES for payload in entry.payloads):
            raise ValidationError.because(f"An event holds at most {MOST_LINE_BYTES} bytes.")
        now, batches = self._clock(), []
        for part in _parts(entry.payloads):
            first = stream.writer.seq + 1
            written = stream.writer.write(entry.event, part, now)
            batches.append(Batch(stream.epoch, first, stream.writer.seq, written, entry.end))
        return batches

    def now(self) -> int:
        """Return the log's time, in nanoseconds since 1970."""
        return self._clock()

    def note(self, statement: Statement) -> None:
        """Commit a statement with the next group; nobody waits for it."""
        self._writer.put(Write(lambda _: None, statements=(statement,)))

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` in a transaction of its own, in order with the appends, and return what it returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        results: list[Result] = []

        self._writer.put(
            Write(
                lambda error: self._call(_settle_work, future, results, error),
                work=lambda connection: results.append(work(connection)),
            )
        )
        return await future

    async def mark(self, source: str) -> int:
        """Return the position of a source that was committed last, 0 when there is none."""
        rows = await self.query("SELECT position FROM mark WHERE source = ?", (source,))
        return int(rows[0][0]) if rows else 0

    # -- reading

    async def stream(self, session_id: str, epoch: int | None = None) -> Stream:
        """Return a session's current epoch, or an earlier one that has ended. Raises SessionNotFound, SessionGap."""
        current = self._streams.get(session_id)
        if current is None:
            current = await self._load(session_id)
        else:
            self._streams.move_to_end(session_id)
        if epoch is None or epoch == current.epoch:
            return current
        head = await self._in_thread(lambda: self._database.head(current.key, epoch))
        earlier = Stream(current.key, session_id, epoch, head) if head is not None and head.ended else None
        if earlier is None:
            raise _another_epoch(current, epoch)
        return earlier

    async def read(
        self, stream: Stream, after: int, most_bytes: int = READ_BYTES, *, joined: int = READ_BYTES
    ) -> list[Batch]:
        """Return committed batches behind `after`, in order and without a hole; none when there is nothing newer.

        The first starts right behind `after`. One batch comes even when it is larger than `most_bytes`; small ones are
        joined up to `joined` bytes. Raises SessionGap when a line behind `after` is no longer kept.
        """
        stream.check(after)
        if after == stream.landed:
            return []
        batches = stream.recent(after, most_bytes)
        if batches is None:
            batches = await self._in_thread(lambda: self._database.read(stream.key, stream.epoch, after, most_bytes))
            # The file may be ahead of what this loop was told: a position there would be one that was never reached.
            batches = [batch for batch in batches if batch.last <= stream.landed]
        if not batches or batches[0].first > after + 1:
            stream.check(after)
            raise gap(stream, after, "is no longer kept")
        batches[0] = batches[0].after(after)
        # What came in dribs leaves in one piece: a frame, a write and a wake-up each cost more than the copy.
        return coalesced(batches, joined)

    async def query(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query on the log's file."""
        return await self._in_thread(lambda: self._database.rows(query, values))

    def forget(self, session_id: str) -> None:
        """Drop a session's state from memory: its epoch changed, or it is deleted."""
        stream = self._streams.pop(session_id, None)
        if stream is not None:
            self._by_key.pop((stream.key, stream.epoch), None)
            stream.wake()

    # -- within

    async def _load(self, session_id: str) -> Stream:
        rows = await self.query("SELECT key, epoch FROM session WHERE id = ?", (session_id,))
        if not rows:
            raise SessionNotFound(session_id=session_id)
        key, epoch = rows[0]
        head = await self._in_thread(lambda: self._database.head(key, epoch))
        # Another task may have loaded it meanwhile: there is one object for all.
        stream = self._streams.get(session_id)
        if stream is None:
            if head is None:
                raise SessionNotFound(session_id=session_id)
            self._make_room()
            stream = self._streams[session_id] = Stream(key, session_id, epoch, head)
            self._by_key[key, epoch] = stream
        return stream

    def _make_room(self) -> None:
        if len(self._streams) < MOST_STREAMS_IN_MEMORY:
            return
        for session_id, stream in list(self._streams.items()):
            if stream.ended and stream.idle:
                self.forget(session_id)
                return

    async def _keep_limits(self) -> None:
        while True:
            self._writer.chores()
            await asyncio.sleep(RETENTION_SECONDS)

    async def _next_landing(self) -> None:
        self._landing.clear()
        await self._landing.wait()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        """Call in the loop, from the writer's thread. A loop that is closed has nobody who waits."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(function, *args)

    def _from_thread_landed(self, rows: list[Row]) -> None:
        self._call(self._land, rows)

    def _from_thread_trimmed(self, gone: list[Trimmed]) -> None:
        self._call(self._trim, gone)

    def _from_thread_stalled(self, error: BackendError | None) -> None:
        self._call(self._stall, error)

    def _land(self, rows: list[Row]) -> None:
        for row in rows:
            stream = self._by_key.get((row.session, row.batch.epoch))
            if stream is not None:
                stream.land(row.batch)
        self._landing.set()

    def _trim(self, gone: list[Trimmed]) -> None:
        for each in gone:
            stream = self._by_key.get((each.session, each.epoch))
            if stream is not None:
                stream.trim(each.last, each.bytes)

    def _stall(self, error: BackendError | None) -> None:
        self.stalled = error


def _settle(future: "asyncio.Future[Result]", result: Result, error: BaseException | None) -> None:
    """Settle a future whose waiter may have gone."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _settle_work(future: "asyncio.Future[Result]", results: list[Result], error: BaseException | None) -> None:
    if error is None:
        _settle(future, results[0], None)
    elif not future.done():
        future.set_exception(error)


def _parts(payloads: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut payloads into runs of about a row's size."""
    start, size = 0, 0
    for position, payload in enumerate(payloads, 1):
        size += len(payload) + LINE_OVERHEAD
        if size >= ROW_BYTES or position == len(payloads):
            yield payloads[start:position]
            start, size = position, 0


def _another_epoch(current: Stream, epoch: int) -> SessionGap:
    return SessionGap.because(
        f"The session {current.session_id} was restarted since: epoch {epoch} is not its stream any more.",
        hint=f"nexus session live events {current.session_id}",
        session_id=current.session_id,
        epoch=current.epoch,
        missing={"epoch": epoch},
        oldest=current.trimmed + 1,
        newest=current.landed,
    )


def _begin(database: LogDatabase, boot: str) -> None:
    """Note that the file is in use. After a power cut, which may have taken commits that readers saw, start epochs."""
    with database.transaction() as connection:
        known = dict(connection.execute("SELECT name, value FROM meta").fetchall())
        if known.get("clean") == "no" and known.get("boot") != boot:
            connection.execute("UPDATE session SET epoch = epoch + 1 WHERE status IN ('active', 'paused')")
            connection.execute(
                "INSERT INTO stream (session, epoch)"
                " SELECT key, epoch FROM session WHERE status IN ('active', 'paused')"
            )
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [("clean", "no"), ("boot", boot)])
    database.relax()


def _end(database: LogDatabase) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('clean', 'yes')")
