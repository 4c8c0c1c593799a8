"""Opening a database of PostgreSQL's: made and migrated by one kernel at a time, whole or not at all."""

from sqlalchemy import Connection, Engine, text

from nexus.kernel.postgresql.server import Server
from nexus.kernel.store.schema import HEAD, REVISIONS
from nexus.schemas.errors import BackendError, VersionConflict

WRITE_LOCK = 0x6E65787573
"""The advisory lock of who writes: "nexus" in ASCII. It is a database's own, and ends with its transaction."""

MIGRATION_SECONDS = 60
"""How long a kernel waits for another that migrates."""

STATE = text(
    "SELECT current_setting('server_encoding') AS encoding, to_regclass('alembic_version') IS NOT NULL AS versioned,"
    " to_regclass('projects') IS NOT NULL AS made,"
    " EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') AS icu"
)


def bring_to_head(engine: Engine, server: Server) -> None:
    """Make the tables, or migrate them to this code's schema. Raises `VersionConflict` when they are newer."""
    with engine.connect() as connection:
        if revision_of(connection, server) == HEAD:
            return
        connection.rollback()
        with connection.begin():
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text(f"SET LOCAL lock_timeout = '{MIGRATION_SECONDS}s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITE_LOCK})
            # Another kernel may have done it while this one waited.
            revision = revision_of(connection, server)
            if revision is not None and revision not in REVISIONS:
                raise VersionConflict.because(
                    f"The database {server.name} was written by a newer Nexus"
                    f" (schema {revision}; this one knows {HEAD}).",
                    hint="Update Nexus, or give it a database of its own.",
                    path=server.name,
                    found=revision,
                    known=HEAD,
                )
            if revision != HEAD:
                upgrade(connection)


def revision_of(connection: Connection, server: Server) -> str | None:
    """Return the revision of the schema, None for a database without it. Raises `BackendError` for an unfit one."""
    state = connection.execute(STATE).one()
    if state.encoding != "UTF8" or not state.icu:
        lacks = f"is in {state.encoding}, not UTF8" if state.encoding != "UTF8" else "knows no ICU collations"
        raise BackendError.because(
            f"The database {server.name} {lacks}.", hint="Make it anew: createdb --encoding UTF8 --template template0"
        )
    if not state.versioned:
        return "unknown" if state.made else None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return str(row[0]) if row else "unknown"


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to a revision in the transaction that is begun."""
    # Alembic takes 100 ms to import, and only an old database needs it.
    from alembic import command

    from nexus.kernel.store.migrate import configuration

    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
