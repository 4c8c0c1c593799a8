"""Opening a database of PostgreSQL's: made and migrated by one kernel at a time, whole or not at all."""

import asyncio
import os
import subprocess
import sys

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, text

from nexus.kernel.postgresql.opening import revision_of
from nexus.kernel.postgresql.server import Server
from nexus.kernel.postgresql.store import PostgresqlStore
from nexus.kernel.store import account_tables  # noqa: F401 -- adds its tables to the metadata
from nexus.kernel.store.schema import HEAD, REVISIONS, metadata, servers, templates
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.errors import (
    NexusError,
    VersionConflict,
)
from tests.kernel.cluster import Cluster
from tests.kernel.postgresql.databases import add, names, template


def test_the_tables_are_what_the_migrations_make_and_compare_bytes(store: PostgresqlStore) -> None:
    with store._reads.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        other = text(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
        )
        assert connection.execute(other).all() == []


@pytest.mark.parametrize("statement", ["UPDATE alembic_version SET version_num = '9999'", "DROP TABLE alembic_version"])
def test_a_database_that_a_newer_nexus_wrote_is_left_alone(cluster: Cluster, statement: str) -> None:
    address = cluster.database()
    with psycopg.connect(address.url) as connection:
        connection.execute(statement)
    with pytest.raises(VersionConflict) as refused:
        PostgresqlStore.open(address)
    assert "Update Nexus" in refused.value.entry().details["hint"]


async def test_a_schema_of_ones_own_leaves_the_rest_of_a_database_alone(cluster: Cluster) -> None:
    address = cluster.database("template0")
    with psycopg.connect(address.url) as connection:
        connection.execute("CREATE TABLE public.alembic_version AS SELECT 'somebody else''s' AS version_num")
        connection.execute("CREATE SCHEMA own")
    store = PostgresqlStore.open(DatabaseAddress(f"{address.url}&options=-csearch_path%3Down"))
    await add(store)
    await store.close()
    with psycopg.connect(address.url) as connection:
        assert connection.execute("SELECT name FROM own.templates").fetchall() == [("x",)]
        assert connection.execute("SELECT version_num FROM public.alembic_version").fetchone() == ("somebody else's",)


def test_a_database_in_another_encoding_is_refused(cluster: Cluster) -> None:
    cluster.run("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(NexusError, match="LATIN1"):
        PostgresqlStore.open(cluster.address("latin"))


async def test_kernels_that_start_at_once_make_the_tables_once(cluster: Cluster) -> None:
    address = cluster.database("template0")
    stores = await asyncio.gather(*(asyncio.to_thread(PostgresqlStore.open, address) for _ in range(4)))
    for store in stores:
        assert await store.read(lambda connection: revision_of(connection, stores[0].server)) == HEAD
        await store.close()


KILLED = """
import json, os, signal, sys
from sqlalchemy import event, inspect, text
from nexus.kernel.postgresql import opening
from nexus.kernel.postgresql.engine import engine_of
from nexus.kernel.postgresql.server import Server
from nexus.kernel.store.schema import HEAD
from nexus.kernel.store.store import DatabaseAddress

server, step = Server.at(DatabaseAddress(sys.argv[1]), 5), int(sys.argv[2])


def state():
    engine = engine_of(server, 1)
    with engine.connect() as connection:
        found = [opening.revision_of(connection, server), sorted(inspect(connection).get_table_names())]
    engine.dispose()
    return found


def run(kill_at):
    '''Bring the database to the head in a child that is killed at its nth statement; return whether it was.'''
    child = os.fork()
    if child == 0:
        engine, count = engine_of(server, 1), 0

        def on_statement(*told):
            global count
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        globals()["count"] = 0
        event.listen(engine, "before_cursor_execute", on_statement)
        event.listen(engine, "commit", on_statement)
        opening.bring_to_head(engine, server)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


before, kill_at, kills = state(), 1, 0
import nexus.kernel.store.migrate, alembic.command
while run(kill_at):
    assert state() == before, (kill_at, state())
    kills += 1
    kill_at += step
assert state()[0] == HEAD
print(kills)
"""


@pytest.mark.parametrize("start", ["nothing", REVISIONS[2]])
def test_a_migration_killed_at_any_statement_was_never_begun(cluster: Cluster, start: str) -> None:
    address = cluster.database("template0")
    if start != "nothing":
        migrated(address, start)
    step = "1" if os.environ.get("NEXUS_SOAK") else "9"  # noqa: TID251 -- the tests' switch
    run = subprocess.run(
        [sys.executable, "-c", KILLED, address.url, step], capture_output=True, text=True, timeout=100, check=False
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= 2


def migrated(address: DatabaseAddress, revision: str) -> None:
    from nexus.kernel.postgresql.engine import engine_of
    from nexus.kernel.postgresql.opening import upgrade

    engine = engine_of(Server.at(address, 5), 1)
    with engine.begin() as connection:
        upgrade(connection, revision)
        connection.execute(insert(templates).values(template("kept")))
    engine.dispose()


async def test_an_old_database_is_brought_to_the_head_and_keeps_its_rows(cluster: Cluster) -> None:
    address = cluster.database("template0")
    migrated(address, "0001")
    store = PostgresqlStore.open(address)
    assert await names(store) == ["kept"]
    assert await store.read(lambda connection: connection.execute(select(servers)).all()) == []
    await store.close()
