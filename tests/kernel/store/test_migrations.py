"""The schema: a fresh home and a migrated one are the same, and a killed migration is whole or was never begun."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from nexus.kernel.store import account_tables  # noqa: F401 -- adds its tables to the metadata
from nexus.kernel.store.migrate import configuration, migrate
from nexus.kernel.store.opening import bring_to_head
from nexus.kernel.store.schema import REVISIONS, metadata
from nexus.kernel.store.snapshot import SNAPSHOT, snapshot


def plain(sql: str) -> list[str]:
    """SQL without the spaces that versions of Alembic lay out differently, statement by statement."""
    return sorted(re.sub(r"\s+", "", statement) for statement in sql.split(";"))


def schema_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(re.sub(r"\s+", "", sql) for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql)


def test_the_snapshot_is_what_the_migrations_make() -> None:
    assert plain(SNAPSHOT.read_text("utf-8")) == plain(snapshot()), "run python -m nexus.kernel.store.snapshot"


def test_the_revisions_are_those_of_the_migrations_in_their_order() -> None:
    scripts = ScriptDirectory.from_config(configuration())
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


def test_the_tables_are_what_the_migrations_make(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    migrate(path, busy_seconds=1)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert differences == []


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_an_old_database_is_brought_to_the_head_and_keeps_its_rows(tmp_path: Path, revision: str) -> None:
    path, fresh = tmp_path / "nexus.db", tmp_path / "fresh.db"
    migrate(path, 1, revision)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO templates VALUES ('t', 'n', 'n', 'c', NULL, NULL, 0, 'x', 'x')")
        connection.commit()
    bring_to_head(path, 1)
    bring_to_head(fresh, 1)
    assert schema_of(path) == schema_of(fresh)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM templates").fetchall() == [("n",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


KILLED = """
import json, os, signal, sys
from pathlib import Path
from nexus.kernel.store import migrate, opening
from nexus.kernel.store.schema import HEAD

folder, start = Path(sys.argv[1]), sys.argv[2]
connect = opening.connect


def run(path, kill_at):
    '''Bring a database to the head in a child that is killed at its nth statement; return whether it was.'''
    child = os.fork()
    if child == 0:
        count = 0

        def on_statement(sql):
            nonlocal count
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        def traced(path, busy_seconds):
            connection = connect(path, busy_seconds)
            connection.set_trace_callback(on_statement)
            return connection

        opening.connect = migrate.connect = traced
        try:
            opening.bring_to_head(path, 1)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def tables(path):
    connection = connect(path, 1)
    revision = opening.revision_of(connection)
    found = sorted(connection.execute("SELECT name, sql FROM sqlite_master"))
    connection.close()
    return [revision, found]


kill_at, seen, killed = 0, [], True
while killed:
    kill_at += 1
    path = folder / f"{kill_at}.db"
    if start != "nothing":
        migrate.migrate(path, 1, start)
    before = tables(path)
    killed = run(path, kill_at)
    after = tables(path)
    assert not run(path, 0), "the next start finishes it"
    whole = tables(path)
    assert whole[0] == HEAD
    assert after in (before, whole), (kill_at, after)
    seen.append(after == whole)
print(json.dumps(seen))
"""


@pytest.mark.parametrize("start", ["nothing", *REVISIONS[:-1]])
def test_a_migration_killed_at_any_statement_is_whole_or_was_never_begun(tmp_path: Path, start: str) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), start]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert len(seen) > 8
    assert seen[0] is False
    assert seen[-1] is True
    assert seen == sorted(seen)


def test_opening_imports_alembic_only_for_an_old_database(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nexus.kernel.store.opening import bring_to_head\n"
        "for _ in range(2): bring_to_head(Path(sys.argv[1]), 1)\n"
        "print([name for name in ('alembic', 'rich', 'psutil', 'httpx', 'click') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.db")], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"
