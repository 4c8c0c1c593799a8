"""The event log's SQLite file: batches of lines a row, sessions, spool marks, in one place and one transaction.

Everything here blocks and is called from the log's own threads. Foreign errors leave as those of `schemas/errors`.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus.schemas.errors import (
    BackendError,
    StorageCorrupt,
    StorageFull,
    StorageLocked,
    StorageReadOnly,
    VersionConflict,
)
from nexus.sessions.core.position import Batch

VERSION = 1
PAGE_BYTES = 16 * 1024
"""Batches are tens of kilobytes: large pages make short overflow chains (measured: 3 times faster than 4 KiB)."""
BUSY_MS = 5000

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE session (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    scope TEXT,
    status TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    closed_at INTEGER,
    -- The command that made it: sent again, it makes no second one.
    request TEXT UNIQUE,
    document TEXT NOT NULL
);
-- One active session of each type in a context.
CREATE UNIQUE INDEX session_scope ON session (type, scope) WHERE status = 'active' AND scope IS NOT NULL;
CREATE TABLE stream (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    trimmed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session, epoch)
) WITHOUT ROWID;
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    moment INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    lines BLOB NOT NULL
);
-- With its size, so that sums never touch the lines.
CREATE UNIQUE INDEX batch_position ON batch (session, epoch, last_seq, bytes);
CREATE TABLE mark (source TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE input (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    client TEXT NOT NULL,
    begun INTEGER NOT NULL,
    done INTEGER NOT NULL,
    PRIMARY KEY (session, client)
) WITHOUT ROWID;
"""

Statement = tuple[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """A batch on its way into the file. `moment` is that of its last line, in nanoseconds."""

    session: int
    batch: Batch
    moment: int


@dataclass(frozen=True, slots=True)
class Head:
    """What the file has of one epoch: `trimmed` is the last seq that is gone, `last` the newest, `bytes` the size."""

    trimmed: int
    last: int
    moment: int
    ended: bool
    bytes: int


class LogDatabase:
    """Connections to one log file: one that writes, and one for each thread that reads.

    Raises StorageReadOnly, StorageLocked, StorageFull, StorageCorrupt, and VersionConflict for a newer file.
    """

    def __init__(self, path: Path, *, quota_bytes: int | None = None) -> None:
        self.path = path
        self._quota_bytes = quota_bytes
        self._readers: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file to write, and make it when it is not there."""
        with self._translated():
            self._writer = writer = self._connect()
            version = writer.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise VersionConflict.because(f"The event log {self.path} was written by a newer Nexus.")
            if version == 0:
                self._create(writer)
            if self._quota_bytes is not None:
                writer.execute(f"PRAGMA max_page_count = {max(16, self._quota_bytes // PAGE_BYTES)}")

    def relax(self) -> None:
        """Commit without waiting for the disk from here on: a process that dies loses nothing.

        A power cut may take the last commits; what was noted before tells the next start.
        """
        if self._writer is not None:
            self._writer.execute("PRAGMA synchronous = NORMAL")

    def close(self) -> None:
        """Close every connection; no other thread may be at work in them."""
        with self._lock:
            connections = [*self._readers, *([self._writer] if self._writer else [])]
            self._readers.clear()
            self._writer = None
        for connection in connections:
            connection.close()

    def commit(self, rows: Sequence[Row], statements: Sequence[Statement] = ()) -> None:
        """Write statements and rows in one transaction: all or nothing."""
        with self.transaction() as writer:
            for statement, values in statements:
                writer.execute(statement, values)
            writer.executemany(
                "INSERT INTO batch (session, epoch, first_seq, last_seq, bytes, moment, ended, lines)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        row.session,
                        row.batch.epoch,
                        row.batch.first,
                        row.batch.last,
                        len(row.batch.lines),
                        row.moment,
                        row.batch.end,
                        row.batch.lines,
                    )
                    for row in rows
                ],
            )

    def read(self, session: int, epoch: int, after: int, most_bytes: int) -> list[Batch]:
        """Return the batches that reach behind `after`, in order: one, and more while they fit into `most_bytes`."""
        batches: list[Batch] = []
        room = most_bytes
        with self._translated():
            rows = self._reader().execute(
                "SELECT first_seq, last_seq, lines, ended FROM batch"
                " WHERE session = ? AND epoch = ? AND last_seq > ? ORDER BY last_seq",
                (session, epoch, after),
            )
            try:
                for first, last, lines, ended in rows:
                    if batches and room < len(lines):
                        break
                    batches.append(Batch(epoch, first, last, lines, bool(ended)))
                    room -= len(lines)
                    if room <= 0:
                        break
            finally:
                # An open cursor holds its snapshot, and the checkpoint with it.
                rows.close()
        return batches

    def head(self, session: int, epoch: int) -> Head | None:
        """Return what is kept of an epoch; None when there is no such epoch."""
        found = self.rows("SELECT trimmed FROM stream WHERE session = ? AND epoch = ?", (session, epoch))
        if not found:
            return None
        trimmed: int = found[0][0]
        last = self.rows(
            "SELECT last_seq, moment, ended FROM batch WHERE session = ? AND epoch = ? ORDER BY last_seq DESC LIMIT 1",
            (session, epoch),
        )
        size = self.rows("SELECT sum(bytes) FROM batch WHERE session = ? AND epoch = ?", (session, epoch))
        seq, moment, ended = last[0] if last else (trimmed, 0, False)
        return Head(trimmed, seq, moment, bool(ended), size[0][0] or 0)

    def checkpoint(self, *, truncate: bool = False) -> int:
        """Move what is committed into the database file, as far as no reader hinders that; `truncate` the log then.

        Return how many bytes of the write-ahead log are in use, those that were moved too.
        """
        with self._translated():
            way = "TRUNCATE" if truncate else "PASSIVE"
            [(_, frames, _)] = self._reader().execute(f"PRAGMA wal_checkpoint({way})").fetchall()
        return max(0, int(frames)) * PAGE_BYTES

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query, all at once."""
        with self._translated():
            return self._reader().execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the writing connection inside a transaction, which is rolled back when the body raises."""
        writer = self._writer
        if writer is None:
            raise BackendError.because(f"The event log {self.path} is closed.")
        with self._translated():
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
                writer.execute("COMMIT")
            except BaseException:
                # SQLite itself rolls back when the disk is full.
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
                raise

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.connection = connection
            with self._lock:
                self._readers.append(connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # `Checkpointer` does it beside the commits.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return connection

    def _create(self, writer: sqlite3.Connection) -> None:
        # executescript would commit by itself: a killed process must leave the whole schema or none.
        with self.transaction():
            for statement in _statements(SCHEMA):
                writer.execute(statement)
            writer.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self.path) from error


def translated(error: sqlite3.Error, path: Path) -> BackendError:
    """Return SQLite's error as ours, by its primary result code."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    place = str(path)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageLocked(path=place)
    if primary == sqlite3.SQLITE_FULL:
        return StorageFull(path=place)
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StorageReadOnly(path=place)
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StorageCorrupt(path=place, reason=str(error))
    return BackendError.because(f"The event log {place} failed: {error}.")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
