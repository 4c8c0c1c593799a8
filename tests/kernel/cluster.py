"""A PostgreSQL of the tests' own: in a folder that goes, reached by a socket in it, ended with the tests."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from nexus.kernel.postgresql.store import PostgresqlStore
from nexus.kernel.store import account_tables  # noqa: F401 -- adds its tables to the metadata
from nexus.kernel.store.schema import metadata
from nexus.kernel.store.store import DatabaseAddress

SECONDS = 100
TEMPLATE = "nexus_template"
PASSWORD = "p@ss/w0rd of nobody's"
HBA = "local all guarded scram-sha-256\nlocal all all trust\n"
QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "16MB"}
SETTINGS = {**QUICK, "listen_addresses": "", "max_connections": "60", "autovacuum": "off", "jit": "off"}


def programs() -> Path | None:
    """Return the folder of the server's programs: Debian keeps each version's apart, and none on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class Cluster:
    """A running server. A database of it is made from a template that has the schema."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0
        self._shared: DatabaseAddress | None = None

    def address(self, database: str, user: str = "nexus", **parameters: str) -> DatabaseAddress:
        pairs = {"host": str(self.folder), **parameters}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items())
        return DatabaseAddress(f"postgresql://{user}@/{database}?{query}")

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement outside of all transactions, and return its rows."""
        with psycopg.connect(self.address(database).url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def database(self, template: str = TEMPLATE) -> DatabaseAddress:
        """Make a database with the schema, or the one that a template has. It goes with the server."""
        self._made += 1
        self.run(f"CREATE DATABASE nexus_{self._made} TEMPLATE {template}")
        return self.address(f"nexus_{self._made}")

    def emptied(self) -> DatabaseAddress:
        """Return a database without rows, the same for each test: to make one costs a fifth of a second."""
        if self._shared is None:
            self._shared = self._seeded()
        tables = [table.name for table in metadata.sorted_tables]
        with psycopg.connect(self._shared.url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute(";".join(f"DELETE FROM {table}" for table in reversed(tables)))
            connection.execute(";".join(f"INSERT INTO {table} SELECT * FROM seed.{table}" for table in tables))
        return self._shared

    def _seeded(self) -> DatabaseAddress:
        """Make a database that has the rows of the migrations, the built-in roles for some, a second time."""
        made = self.database()
        with psycopg.connect(made.url) as connection:
            connection.execute("CREATE SCHEMA seed")
            for table in metadata.sorted_tables:
                connection.execute(f"CREATE TABLE seed.{table.name} AS TABLE {table.name}")
        return made


@contextmanager
def running(programs: Path) -> Iterator[Cluster]:
    """Make a server and run it; it is ended before this returns, and by the kernel if this process is killed.

    It believes whoever reaches its socket, and the folder lets nobody else in.
    """
    folder = Path(tempfile.mkdtemp(prefix="nexus-pg-"))
    account: list[str] = []
    if os.geteuid() == 0:
        # The server does not run as root.
        shutil.chown(folder, "postgres", "postgres")
        account = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    as_owner = ["setpriv", *account, "--pdeathsig", "INT", "--"]
    data = folder / "data"
    try:
        made = [*as_owner, str(programs / "initdb"), "-D", str(data), "-U", "nexus", "--no-sync", "-A", "trust"]
        # Rules of a language, as most installations have them, would sort as no other database does.
        subprocess.run([*made, "-E", "UTF8", "--locale=C.UTF-8"], check=True, capture_output=True, timeout=SECONDS)
        (data / "pg_hba.conf").write_text(HBA)
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [*as_owner, str(programs / "postgres"), "-D", str(data), "-k", str(folder), *settings]
        with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd="/") as server:
            try:
                wait = [str(programs / "pg_isready"), "-h", str(folder), "-t", str(SECONDS), "-q"]
                while server.poll() is None and subprocess.run(wait, timeout=SECONDS, check=False).returncode:
                    pass
                assert server.poll() is None, (folder / "log").read_text()
                yield _prepared(Cluster(folder))
            finally:
                # Fast shutdown: it ends whoever is connected.
                server.send_signal(signal.SIGINT)
                server.wait(SECONDS)
    finally:
        shutil.rmtree(folder)


def _prepared(cluster: Cluster) -> Cluster:
    quoted = PASSWORD.replace("'", "''")
    cluster.run(f"CREATE ROLE guarded LOGIN SUPERUSER PASSWORD '{quoted}'")
    cluster.run(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
    PostgresqlStore.open(cluster.address(TEMPLATE))._close()
    return cluster
