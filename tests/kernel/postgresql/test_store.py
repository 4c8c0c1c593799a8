"""The store on PostgreSQL: reads, writes and their time, and what the server refuses or cuts."""

import asyncio
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, insert, select, text, update

from nexus.kernel.database import open_store
from nexus.kernel.postgresql.failures import BY_STATE, database_error
from nexus.kernel.postgresql.opening import WRITE_LOCK
from nexus.kernel.postgresql.server import Server
from nexus.kernel.postgresql.store import PostgresqlStore
from nexus.kernel.store import account_tables  # noqa: F401 -- adds its tables to the metadata
from nexus.kernel.store.schema import metadata, templates
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.errors import (
    BackendUnavailable,
    NexusError,
    OutcomeUnknown,
    StorageLocked,
    StorageReadOnly,
    TimeoutExceeded,
    ValidationError,
)
from tests.kernel.postgresql.databases import SECONDS, add, names, template


async def test_reads_see_one_moment_and_cannot_write(store: PostgresqlStore) -> None:
    def work(connection: object) -> list[int]:
        counted = select(func.count()).select_from(templates)
        before = connection.execute(counted).scalar_one()  # type: ignore[attr-defined]
        with store._turn() as other:
            other.execute(insert(templates).values(template("meanwhile")))
            other.commit()
        return [before, connection.execute(counted).scalar_one()]  # type: ignore[attr-defined]

    assert await store.read(work) == [0, 0]
    assert await names(store) == ["meanwhile"]
    with pytest.raises(StorageReadOnly):
        await store.read(lambda connection: connection.execute(insert(templates).values(template("y"))))


async def test_reads_go_on_beside_a_write_and_each_other(address: DatabaseAddress, store: PostgresqlStore) -> None:
    with psycopg.connect(address.url) as holding:
        holding.execute("SELECT pg_advisory_xact_lock(%s)", (WRITE_LOCK,))
        writing = asyncio.create_task(add(store))
        assert await asyncio.gather(*(names(store) for _ in range(20))) == [[]] * 20
        holding.rollback()
    await writing
    assert await names(store) == ["x"]


async def test_a_turn_to_write_that_does_not_come_is_told(address: DatabaseAddress) -> None:
    store = PostgresqlStore.open(address, busy_seconds=0.1)
    with psycopg.connect(address.url) as holding:
        holding.execute("SELECT pg_advisory_xact_lock(%s)", (WRITE_LOCK,))
        with pytest.raises(StorageLocked) as refused:
            await add(store)
    assert refused.value.entry().details["retryable"] is True
    await add(store)
    await store.close()


async def test_a_query_without_end_is_cut(address: DatabaseAddress) -> None:
    store = PostgresqlStore.open(DatabaseAddress(f"{address.url}&options=-c%20statement_timeout%3D100"))
    with pytest.raises(TimeoutExceeded):
        await store.read(lambda connection: connection.execute(text("SELECT pg_sleep(100)")))
    await store.close()


CUT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'nexus' AND pid <> pg_backend_pid()"
)


async def test_connections_that_were_cut_are_replaced(address: DatabaseAddress, store: PostgresqlStore) -> None:
    await add(store, "before")
    await names(store)
    for _ in range(2):
        with psycopg.connect(address.url) as other:
            other.execute(CUT.text)
        assert await names(store) == ["before"]
    with psycopg.connect(address.url) as other:
        other.execute(CUT.text)
    await add(store, "behind")
    assert sorted(await names(store)) == ["before", "behind"]


async def test_a_write_that_was_cut_is_never_done_twice(address: DatabaseAddress, store: PostgresqlStore) -> None:
    begun = 0

    def work(connection: object) -> None:
        nonlocal begun
        begun += 1
        connection.execute(insert(templates).values(template("cut")))  # type: ignore[attr-defined]
        with psycopg.connect(address.url) as other:
            other.execute(CUT.text)
        if inside:
            connection.execute(select(templates))  # type: ignore[attr-defined]

    inside = True
    with pytest.raises(BackendUnavailable):
        await store.write(work)
    inside = False
    # Cut as it is committed: nobody here can know what the server had done by then.
    with pytest.raises(OutcomeUnknown):
        await store.write(work)
    assert begun == 2
    assert await names(store) == []


async def test_a_transaction_that_does_nothing_gives_its_turn_back(address: DatabaseAddress) -> None:
    options = "-c%20idle_in_transaction_session_timeout%3D100"
    stopped = PostgresqlStore.open(DatabaseAddress(f"{address.url}&options={options}"))
    store = PostgresqlStore.open(address)
    began, done = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(connection: object) -> None:
        connection.execute(insert(templates).values(template("late")))  # type: ignore[attr-defined]
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(done.wait(), loop).result(SECONDS)

    stopping = asyncio.create_task(stopped.write(work))
    await asyncio.wait_for(began.wait(), SECONDS)
    await add(store, "next")
    done.set()
    with pytest.raises(BackendUnavailable):
        await stopping
    assert await names(store) == ["next"]
    await stopped.close()
    await store.close()


@pytest.mark.parametrize("value", ["nul \0", "x" * 3])
async def test_what_no_column_takes_is_the_callers_error(store: PostgresqlStore, value: str) -> None:
    wrong = {"name": value} if "\0" in value else {"seq": 2**40}
    table = templates if "\0" in value else metadata.tables["audit"]
    with pytest.raises(ValidationError):
        await store.write(lambda connection: connection.execute(update(table).values(**wrong)))


async def test_a_bug_is_no_matter_of_storage(store: PostgresqlStore) -> None:
    with pytest.raises(Exception, match="unheard_of") as raised:
        await store.read(lambda connection: connection.execute(text("SELECT * FROM unheard_of")))
    assert not isinstance(raised.value, NexusError)


def test_every_state_of_the_table_has_its_error(address: DatabaseAddress) -> None:
    server = Server.at(address, 1)
    for state, kind in BY_STATE.items():
        error = psycopg.errors.lookup(state)("words")
        told = database_error(error, server)
        assert type(told) is kind, state
        assert server.name in str(told.data) or server.name in str(told), state


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable) as refused:
        asyncio.run(open_store(tmp_path / "unused.db", DatabaseAddress(f"postgresql:///x?host={tmp_path}")))
    assert str(tmp_path) in str(refused.value)
    assert not list(tmp_path.iterdir())
