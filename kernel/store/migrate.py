"""Migrations: every step from the database's revision to the head in one transaction, whole or not at all."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from nexus.kernel.store.connection import connect
from nexus.kernel.store.failures import told_as_storage
from nexus.schemas.errors import StorageCorrupt

SCRIPTS = Path(__file__).with_name("migrations")


def configuration() -> Config:
    """Return Alembic's configuration; it needs no file."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def migrate(path: Path, busy_seconds: float, revision: str = "head") -> None:
    """Bring a database to a revision. Raises the storage errors; then nothing of it has changed."""
    engine = create_engine("sqlite://", creator=lambda: connect(path, busy_seconds), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with told_as_storage(path), engine.connect() as connection:
        driver = connection.connection.driver_connection
        if driver is None:
            raise RuntimeError("a new connection has no driver below it")
        # Rebuilding a table drops the old one: its children must not go with it. Neither pragma works in a transaction.
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("PRAGMA journal_mode=WAL")
        with connection.begin():
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise StorageCorrupt(path=str(path), reason=f"a row of {broken[0]} belongs to nothing")
