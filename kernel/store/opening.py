"""Opening a database: made from `schema.sql` when it is new, migrated whole or not at all when it is old."""

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from nexus.kernel.store.connection import connect
from nexus.kernel.store.failures import told_as_storage
from nexus.kernel.store.schema import HEAD, REVISIONS
from nexus.schemas.errors import VersionConflict


def bring_to_head(path: Path, busy_seconds: float) -> None:
    """Make the database, or migrate it to this code's schema. Raises `VersionConflict` when it is newer."""
    with told_as_storage(path), closing(connect(path, busy_seconds)) as connection:
        path.chmod(0o600)
        revision = revision_of(connection)
        if revision is None:
            _make(connection)
        elif revision not in REVISIONS:
            raise VersionConflict.because(
                f"The database {path} was written by a newer Nexus (schema {revision}; this one knows {HEAD}).",
                hint="Update Nexus, or set NEXUS_HOME to another folder.",
                path=str(path),
                found=revision,
                known=HEAD,
            )
        elif revision != HEAD:
            # Alembic takes 100 ms to import, and only an old database needs it.
            from nexus.kernel.store.migrate import migrate

            migrate(path, busy_seconds)


def revision_of(connection: sqlite3.Connection) -> str | None:
    """Return the revision of the schema, None for a database without tables."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "alembic_version" not in tables:
        return "unknown"
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else "unknown"


def _make(connection: sqlite3.Connection) -> None:
    script = files("nexus.kernel.store").joinpath("schema.sql").read_text("utf-8")
    # WAL is a property of the file; it cannot be set inside a transaction.
    connection.execute("PRAGMA journal_mode=WAL")
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
