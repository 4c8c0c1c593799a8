"""The snapshot of the schema that a fresh home is made of: `python -m nexus.kernel.store.snapshot` writes it anew."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from nexus.kernel.store.migrate import migrate

SNAPSHOT = Path(__file__).with_name("schema.sql")


def snapshot() -> str:
    """Return the schema and the revision that the migrations make, as SQL."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        migrate(path, busy_seconds=1)
        with closing(sqlite3.connect(path)) as connection:
            return "".join(f"{line}\n" for line in connection.iterdump() if _belongs(line))


def _belongs(line: str) -> bool:
    # The transaction stands around the script; the counters of AUTOINCREMENT make themselves.
    return line not in ("BEGIN TRANSACTION;", "COMMIT;") and "sqlite_sequence" not in line


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), "utf-8")
