"""All that a store keeps, as who reads its disk sees it."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from nexus.kernel.store import account_tables  # noqa: F401 -- adds its tables to the metadata
from nexus.kernel.store.schema import metadata
from nexus.kernel.store.sqlite import SqliteStore
from nexus.kernel.store.store import Store


async def everything_kept(store: Store) -> bytes:
    """Return the bytes of SQLite's files, or of another database all values of all rows."""
    if isinstance(store, SqliteStore):
        return store.path.read_bytes() + Path(f"{store.path}-wal").read_bytes()
    return repr(await store.read(_rows)).encode()


def _rows(connection: Connection) -> list[list[Any]]:
    return [list(connection.execute(select(table))) for table in metadata.sorted_tables]
