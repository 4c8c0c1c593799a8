"""The thread that commits: at once when nothing waits, and in groups of a few milliseconds under load."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nexus.kernel.sessions.checkpoint import Checkpointer
from nexus.kernel.sessions.database import LogDatabase, Row, Statement
from nexus.schemas.errors import BackendError, StorageFull, StorageLocked
from nexus.sessions.core.position import coalesced

GROUP_SECONDS = 0.003
"""After a crowd, what comes is gathered for so long; what comes later than that is committed at once."""
CROWD = 4
"""So many writes at once are a crowd."""
ROW_BYTES = 128 * 1024
"""Neighbouring batches of one stream are joined up to this: a row an event costs six times as much."""
FULL_BYTES = 2 * 1024 * 1024
"""So much waiting is a group, however early."""
SMALL_BYTES = 8 * 1024
"""A key's echo is small, a flood's piece is not."""
CHORE_SECONDS = 0.1
"""Under load so much lies between two chores."""
RETRY_SECONDS = (0.02, 0.1, 0.5, 1.0)
STOP_SECONDS = 10.0


@dataclass(slots=True)
class Write:
    """One thing to commit: rows with statements, in a transaction shared with others, or `work` in one of its own.

    `settle` is called in the writer's thread, once: with None when it is committed, with the error when it never will
    be.
    """

    settle: Callable[[BaseException | None], None]
    rows: tuple[Row, ...] = ()
    statements: tuple[Statement, ...] = ()
    work: Callable[[sqlite3.Connection], None] | None = None
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.bytes = sum(len(row.batch.lines) for row in self.rows)


class Writer:
    """Commits writes in the order they are put.

    `landed` gets the rows of each group, joined, before their `settle` is called; `stalled` gets the error when the
    disk takes no more and None when it does again. Both are called in this thread. When nothing is to be written,
    `chore` is called; it returns whether it has more to do.
    """

    def __init__(
        self,
        database: LogDatabase,
        *,
        landed: Callable[[list[Row]], None],
        stalled: Callable[[BackendError | None], None],
        chore: Callable[[], bool],
    ) -> None:
        self._database = database
        self._landed = landed
        self._stalled = stalled
        self._chore = chore
        self._queue: deque[Write] = deque()
        self._bytes = 0
        self._stopping = False
        self._chores = False
        self._failure: BaseException | None = None
        self._sleeps = False
        self._commits = threading.Lock()
        self._checkpointer = Checkpointer(database, self.calm, self._hold, self._commits)
        self._calm = False
        self._held = False
        self._condition = threading.Condition(threading.Lock())
        self._thread = threading.Thread(target=self._run, name="nexus-log-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._checkpointer.start()

    def stop(self) -> None:
        """Commit what is put so far, and end. What the disk does not take by then fails."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(STOP_SECONDS)
        self._checkpointer.stop()

    def put(self, write: Write) -> None:
        """Queue a write. Raises what made the log fail for good, or BackendError when it is closed."""
        with self._condition:
            if self._failure is not None:
                raise self._failure
            if self._stopping:
                raise BackendError.because("The event log is closed.")
            self._queue.append(write)
            self._bytes += write.bytes
            if self._sleeps or self._calm or self._held or self._bytes >= FULL_BYTES:
                self._condition.notify()

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Commit only what is small meanwhile: keys pressed go through, floods wait."""
        self._be_calm(True)
        try:
            yield
        finally:
            self._be_calm(False)

    def chores(self) -> None:
        """Ask for the chore to be called when nothing is to be written."""
        with self._condition:
            self._chores = True
            self._condition.notify()

    def _run(self) -> None:
        until = tidied = 0.0
        while True:
            group = self._gather(until)
            if group is None:
                return
            if group:
                self._commit(group)
            # One who waits for each of his commits gains nothing by a group; many small ones at a time do.
            until = time.monotonic() + GROUP_SECONDS if len(group) >= CROWD else 0.0
            if self._chores and (not group or until - tidied > CHORE_SECONDS):
                self._tidy()
                tidied = time.monotonic()

    def _gather(self, until: float) -> list[Write] | None:
        """Wait for a group, and gather it `until` then. An empty one is a moment for chores, None the end."""
        with self._condition:
            self._sleeps = True
            while not (group := self._ready()) and not self._stopping:
                if self._chores and not self._queue:
                    self._sleeps = False
                    return []
                self._condition.wait()
            self._sleeps = False
            rest = until - time.monotonic()
            if rest > 0 and not self._stopping:
                self._condition.wait_for(lambda: self._bytes >= FULL_BYTES or self._stopping, rest)
                group = self._ready()
            taken = set(map(id, group))
            self._queue = deque(write for write in self._queue if id(write) not in taken)
            self._bytes -= sum(write.bytes for write in group)
            return group if group or not self._stopping else None

    def _ready(self) -> list[Write]:
        """Return what may be committed now, in its order: all, or while floods are held what is small.

        What comes behind something large in its own stream waits with it.
        """
        if self._stopping or not (self._calm or self._held):
            return list(self._queue)
        held: set[int] = set()
        ready: list[Write] = []
        for write in self._queue:
            streams = {row.session for row in write.rows}
            if write.bytes > SMALL_BYTES or streams & held:
                held |= streams
            else:
                ready.append(write)
        return ready

    def _be_calm(self, calm: bool) -> None:
        with self._condition:
            self._calm = calm
            self._condition.notify()

    def _hold(self, held: bool) -> None:
        with self._condition:
            self._held = held
            self._condition.notify()

    def _tidy(self) -> None:
        try:
            more = self._chore()
        except BackendError:
            # The next round tries again; what is wrong with the file, the writes will tell.
            more = False
        with self._condition:
            self._chores = more

    def _commit(self, group: list[Write]) -> None:
        shared: list[Write] = []
        for write in group:
            if write.work is None:
                shared.append(write)
                continue
            self._commit_shared(shared)
            shared = []
            self._commit_work(write)
        self._commit_shared(shared)

    def _commit_work(self, write: Write) -> None:
        try:
            with self._commits, self._database.transaction() as connection:
                if write.work is not None:
                    write.work(connection)
        except BaseException as error:  # noqa: BLE001 -- it goes to whoever waits for this work
            write.settle(error)
        else:
            write.settle(None)

    def _commit_shared(self, writes: list[Write]) -> None:
        if not writes:
            return
        rows = joined([row for write in writes for row in write.rows])
        statements = [statement for write in writes for statement in write.statements]
        with self._commits:
            failure = self._persist(rows, statements)
        if failure is None:
            self._landed(rows)
            self._checkpointer.written(sum(len(row.batch.lines) for row in rows))
        for write in writes:
            write.settle(failure)

    def _persist(self, rows: list[Row], statements: list[Statement]) -> BaseException | None:
        """Commit, for as long as the disk may yet take it. Return what makes it impossible."""
        attempt = 0
        while True:
            try:
                self._database.commit(rows, statements)
            except (StorageFull, StorageLocked) as error:
                if self._stopping:
                    return error
                if attempt == 0:
                    self._stalled(error)
                self._pause(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
                attempt += 1
            except BaseException as error:  # noqa: BLE001 -- it goes to everyone who waits, and the log is at its end
                self._fail(error)
                return error
            else:
                if attempt:
                    self._stalled(None)
                return None

    def _pause(self, seconds: float) -> None:
        # A full disk may be what the chore frees.
        self._tidy()
        with self._condition:
            self._condition.wait_for(lambda: self._stopping, seconds)

    def _fail(self, error: BaseException) -> None:
        with self._condition:
            self._failure = error
            waiting = list(self._queue)
            self._queue.clear()
        for write in waiting:
            write.settle(error)


def joined(rows: list[Row]) -> list[Row]:
    """Join neighbours of one stream into rows of up to `ROW_BYTES`; the order within a stream stays."""
    streams: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        streams.setdefault((row.session, row.batch.epoch), []).append(row)
    return [
        Row(session, batch, stream[-1].moment)
        for (session, _), stream in streams.items()
        for batch in coalesced([row.batch for row in stream], ROW_BYTES)
    ]
