"""The store on PostgreSQL: the promises that SQLite's file keeps for one kernel, kept for several on one database.

A write takes the one advisory lock of writers as its transaction begins, and each statement behind that sees what the
writers before it have committed. A read is a snapshot that can write nothing. The event loop waits for neither.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from nexus.kernel.postgresql.engine import engine_of
from nexus.kernel.postgresql.failures import told_by
from nexus.kernel.postgresql.opening import WRITE_LOCK, bring_to_head
from nexus.kernel.postgresql.server import Server
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.errors import BackendUnavailable, OutcomeUnknown

Result = TypeVar("Result")
READERS = 4
"""How many reads a kernel has under way at once; it writes by one more connection."""

BUSY_SECONDS = 10.0
"""How long a write waits for its turn behind those of other kernels."""

TURN = text(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")
SIZE = text("SELECT pg_database_size(current_database())")
UNDONE = "25P03"
"""The server had ended the transaction before its commit was asked for."""


class PostgresqlStore:
    """A `Store` on a database that other kernels may use too. Opened by `open`."""

    def __init__(self, server: Server, engine: Engine) -> None:
        self.server = server
        self._writes = engine
        self._reads = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._closed = False
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reads")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writes")

    @classmethod
    def open(cls, address: DatabaseAddress, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """Open the database, made or brought to this code's schema first. Blocks as the network does.

        Raises what `open_store` says.
        """
        server = Server.at(address, busy_seconds)
        engine = engine_of(server, READERS + 1)
        try:
            with told_by(server):
                bring_to_head(engine, server)
        except BaseException:
            engine.dispose()
            raise
        return cls(server, engine)

    @property
    def name(self) -> str:
        """The address without what is secret."""
        return self.server.name

    async def size(self) -> int:
        """Return how many bytes the database takes, as its server counts them."""
        return await self.read(lambda connection: int(connection.execute(SIZE).scalar_one()))

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction that sees one moment and writes nothing; it may be begun a second time."""
        return await self._run(self._readers, self._read, work)

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in the one write transaction; what it raises undoes it."""
        return await self._run(self._writer, self._write, work)

    async def close(self) -> None:
        """Finish what is under way and close the connections; what comes later is refused."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    async def _run(
        self,
        threads: ThreadPoolExecutor,
        transact: Callable[[Callable[[Connection], Result]], Result],
        work: Callable[[Connection], Result],
    ) -> Result:
        if self._closed:
            raise BackendUnavailable.because("The kernel is stopping.", hint="Run the command again.")
        return await asyncio.get_running_loop().run_in_executor(threads, transact, work)

    def _close(self) -> None:
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self._writes.dispose()

    def _read(self, work: Callable[[Connection], Result]) -> Result:
        with told_by(self.server):
            try:
                return self._seen(work)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            # The server was started anew, or a connection was cut: the pool has forgotten those of before.
            return self._seen(work)

    def _seen(self, work: Callable[[Connection], Result]) -> Result:
        with self._reads.begin() as connection:
            return work(connection)

    def _write(self, work: Callable[[Connection], Result]) -> Result:
        with told_by(self.server), self._begun() as connection:
            result = work(connection)
            try:
                connection.commit()
            except DBAPIError as error:
                if error.connection_invalidated and _state(error) != UNDONE:
                    raise OutcomeUnknown.because(
                        f"The connection to {self.server.name} ended as a write was committed.",
                        hint="Look whether it was done; under the same idempotency key it can be sent again.",
                        path=self.server.name,
                    ) from None
                raise
            return result

    def _begun(self) -> Connection:
        """Return a connection whose transaction has its turn to write."""
        try:
            return self._turn()
        except DBAPIError as error:
            # Nothing of the work has begun: a connection that was cut while it was idle is replaced.
            if not error.connection_invalidated:
                raise
        return self._turn()

    def _turn(self) -> Connection:
        connection = self._writes.connect()
        try:
            connection.execute(TURN)
        except BaseException:
            connection.close()
            raise
        return connection


def _state(error: DBAPIError) -> str | None:
    return error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None
