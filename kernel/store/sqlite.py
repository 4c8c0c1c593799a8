"""The store on SQLite: reads that are short run where they are asked for, everything else on two threads of its own.

Handing a read to a thread and back costs more than most reads do. So a read begins on the event loop, with a bound on
its steps and no patience for locks; one that reaches the bound is undone and begun again on the reader's thread. The
event loop never waits for a disk's lock or a long query.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import SingletonThreadPool

from nexus.kernel.store.connection import connect
from nexus.kernel.store.failures import told_as_storage
from nexus.kernel.store.opening import bring_to_head
from nexus.kernel.store.rows import compact_json
from nexus.schemas.errors import BackendUnavailable

Result = TypeVar("Result")
BUSY_SECONDS = 5.0
"""How long a transaction waits for a lock that another process holds."""

SHORT_READ_STEPS = 20_000
"""How many steps of SQLite's machine a read on the event loop may take: about a millisecond."""


class SqliteStore:
    """One database. Reads see one moment; writes are one at a time, each whole or not at all.

    Errors of storage are raised as `StorageLocked`, `StorageReadOnly`, `StorageCorrupt` or `StorageFull`.
    """

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = path
        self._short = ShortReads(path)
        self._reads = _engine(path, busy_seconds, "BEGIN")
        self._writes = _engine(path, busy_seconds, "BEGIN IMMEDIATE")
        self._closed = False
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="store-reads")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writes")

    @classmethod
    def open(cls, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """Open the database, made or brought to this code's schema first. Blocks for a few milliseconds.

        Raises `VersionConflict` when a newer Nexus wrote it.
        """
        bring_to_head(path, busy_seconds)
        return cls(path, busy_seconds=busy_seconds)

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.path)

    async def size(self) -> int:
        """Return how many bytes the file takes with those beside it."""
        size = 0
        for suffix in ("", "-wal", "-shm"):
            try:
                size += os.stat(f"{self.path}{suffix}").st_size
            except FileNotFoundError:
                continue
        return size

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction that sees one moment and writes nothing; it may be begun a second time."""
        if not self._closed:
            try:
                return self._short.read(work)
            except (SQLAlchemyError, sqlite3.Error):
                # Too long for here, or a lock: the reader's thread has the time, and tells what is wrong if it is more.
                pass
        return await self._run(self._reader, self._reads, work)

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in the one write transaction; what it raises undoes it."""
        return await self._run(self._writer, self._writes, work)

    async def _run(self, threads: ThreadPoolExecutor, engine: Engine, work: Callable[[Connection], Result]) -> Result:
        if self._closed:
            raise BackendUnavailable.because("The kernel is stopping.", hint="Run the command again.")
        return await asyncio.get_running_loop().run_in_executor(threads, self._transact, engine, work)

    async def close(self) -> None:
        """Finish what is under way and close the database; what comes later is refused as `BackendUnavailable`."""
        if self._closed:
            return
        self._closed = True
        self._short.close()
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        for threads, engine in ((self._writer, self._writes), (self._reader, self._reads)):
            # A connection belongs to the thread that opened it, and is closed there.
            threads.submit(engine.dispose).result()
            threads.shutdown(wait=True)

    def _transact(self, engine: Engine, work: Callable[[Connection], Result]) -> Result:
        with told_as_storage(self.path), engine.begin() as connection:
            return work(connection)


class ShortReads:
    """Reads on the event loop's thread, by one connection that stays open between them.

    To take a connection from a pool, and to have SQLAlchemy begin and end a transaction on it, costs more than most
    reads: it knows of none here, and the driver is told.
    """

    def __init__(self, path: Path) -> None:
        self._ticks = 0

        def open_connection() -> sqlite3.Connection:
            self._driver = connect(path, 0)
            self._driver.set_progress_handler(self._tick, SHORT_READ_STEPS // 2)
            return self._driver

        self._engine = create_engine(
            "sqlite://",
            creator=open_connection,
            poolclass=SingletonThreadPool,
            json_serializer=compact_json,
            isolation_level="AUTOCOMMIT",
        )
        self._connection: Connection | None = None

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` on one moment of the database. Raises what the driver and SQLAlchemy raise."""
        connection = self._connection
        if connection is None:
            connection = self._connection = self._engine.connect()
        self._ticks = 0
        self._driver.execute("BEGIN")
        try:
            return work(connection)
        finally:
            self._driver.rollback()

    def _tick(self) -> bool:
        """Say whether to end the statement: SQLite asks whenever one has taken half of the steps that a read may take.

        It counts a statement's steps over all of its runs, so that the first time says nothing of this one.
        """
        self._ticks += 1
        return self._ticks > 1

    def close(self) -> None:
        """Close the connection, in the thread that reads."""
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()


def _engine(path: Path, busy_seconds: float, begin: str) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=lambda: connect(path, busy_seconds),
        poolclass=SingletonThreadPool,
        json_serializer=compact_json,
    )

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
