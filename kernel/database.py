"""The database of a kernel: the file in its folder, or what an address leads to."""

import asyncio
from pathlib import Path

from nexus.kernel.store.sqlite import SqliteStore
from nexus.kernel.store.store import DatabaseAddress, Store
from nexus.schemas.database import SCHEMES
from nexus.schemas.errors import ConfigInvalid, ExtraMissing


async def open_store(path: Path, address: DatabaseAddress | None) -> Store:
    """Open the database at an address, else the file; it is made, or brought to this code's schema, first.

    Raises what a store does, `VersionConflict` when a newer Nexus wrote it, `ConfigInvalid` for an address that is
    none, and `ExtraMissing` when PostgreSQL's driver is not installed.
    """
    if address is None:
        return SqliteStore.open(path)
    if address.url.partition("://")[0] not in SCHEMES:
        raise ConfigInvalid.because(
            "The address of a database begins with postgresql://; without one SQLite keeps the state.",
            field="database_url",
        )
    try:
        from nexus.kernel.postgresql.store import PostgresqlStore
    except ImportError as error:
        # psycopg raises one of its own when libpq is not there.
        if error.name is not None and error.name.partition(".")[0] not in ("psycopg", "psycopg_binary"):
            raise
        raise ExtraMissing(feature="A database of PostgreSQL's", extra="postgresql") from error
    return await asyncio.to_thread(PostgresqlStore.open, address)
