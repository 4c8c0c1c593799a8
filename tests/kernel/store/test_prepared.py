"""A prepared statement finds what the same statement finds by SQLAlchemy's own way, in Python's types."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, insert, select

from nexus.kernel.store.prepared import Prepared
from nexus.kernel.store.schema import projects
from nexus.kernel.store.sqlite import SqliteStore

ROWS = [
    {
        "id": f"prj_{number}",
        "name": f"Name {number}",
        "name_key": f"name {number}",
        "status": "active",
        "theme": {"mode": "dark", "n": number} if number else {},
        "made_folder": bool(number % 2),
        "hidden": number == 2,
        "category": None if number == 1 else "ü",
        "created_at": "2026-01-01T00:00:00.000000Z",
        "updated_at": "2026-01-01T00:00:00.000000Z",
    }
    for number in range(4)
]
STATEMENT = (
    select(projects, (projects.c.name_key + "!").label("loud"))
    .where(projects.c.hidden == bindparam("hidden"), projects.c.status == bindparam("status", "active"))
    .order_by(projects.c.name_key)
    .limit(bindparam("size"))
)


@pytest.mark.parametrize("hidden", [False, True])
async def test_rows_are_those_of_execute(tmp_path: Path, hidden: bool) -> None:
    store = SqliteStore.open(tmp_path / "nexus.db")
    await store.write(lambda connection: connection.execute(insert(projects), ROWS) and None)
    values = {"hidden": hidden, "size": 2}
    for prepared in (Prepared(STATEMENT), Prepared(STATEMENT, again=False)):

        def both(connection: Connection, prepared: Prepared = prepared) -> None:
            found, wanted = prepared.rows(connection, values), connection.execute(STATEMENT, values).all()
            assert found == wanted
            assert [row._mapping for row in found] == [row._mapping for row in wanted]
            assert all(isinstance(row.theme, dict) and isinstance(row.hidden, bool) for row in found)
            assert prepared.rows(connection, {**values, "status": "paused"}) == []

        await store.read(both)
        # On the reader's thread, and in a write, as well.
        await store.write(both)
    await store.close()


async def test_a_read_that_is_short_stays_short_however_often_it_was_run(tmp_path: Path) -> None:
    """SQLite counts a statement's steps over all of its runs: many short ones are not one long."""
    store = SqliteStore.open(tmp_path / "nexus.db")
    await store.write(lambda connection: connection.execute(insert(projects), ROWS) and None)
    prepared, threads = Prepared(STATEMENT), list[int]()

    def read(connection: Connection) -> None:
        threads.append(threading.get_ident())
        prepared.rows(connection, {"hidden": False, "size": 50})

    for _ in range(1000):
        await store.read(read)
    assert threads == [threading.get_ident()] * 1000
    await store.close()
