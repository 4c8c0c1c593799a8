"""PostgreSQL: several kernels on one database, each write whole and none lost; what the server refuses is told."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select, text, update

from nexus.kernel.database import open_store
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.postgresql.failures import BY_STATE, database_error
from nexus.kernel.postgresql.opening import WRITE_LOCK, revision_of
from nexus.kernel.postgresql.server import Server
from nexus.kernel.postgresql.store import PostgresqlStore
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store import account_tables  # noqa: F401 -- adds its tables to the metadata
from nexus.kernel.store.schema import HEAD, REVISIONS, metadata, servers, templates
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.errors import (
    BackendUnavailable,
    ConfigInvalid,
    NexusError,
    OutcomeUnknown,
    StorageLocked,
    StorageReadOnly,
    TimeoutExceeded,
    ValidationError,
    VersionConflict,
)
from tests.kernel.answers import answer, make_project, refusal
from tests.kernel.cluster import PASSWORD, Cluster

SECRET = "a secret that kernels on one database share"
SECONDS = 60


def template(name: str) -> dict[str, str]:
    moment = "2026-11-20T12:00:00.000000Z"
    return {"id": name, "name": name, "name_key": name, "content": "x", "created_at": moment, "updated_at": moment}


@asynccontextmanager
async def kernel_on(folder: Path, address: DatabaseAddress) -> AsyncIterator[httpx.AsyncClient]:
    """Open a kernel of its own folder on a database."""
    kernel = await Kernel.open(folder, OneShotHost(), settings=KernelSettings(secret=SECRET, database=address))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        yield api
    await kernel.close()


@pytest.fixture
def address(cluster: Cluster) -> DatabaseAddress:
    return cluster.emptied()


@pytest.fixture
async def store(address: DatabaseAddress) -> AsyncIterator[PostgresqlStore]:
    store = PostgresqlStore.open(address)
    yield store
    await store.close()


async def add(store: PostgresqlStore, name: str = "x") -> None:
    await store.write(lambda connection: connection.execute(insert(templates).values(template(name))))


async def names(store: PostgresqlStore) -> list[str]:
    return list(await store.read(lambda connection: connection.execute(select(templates.c.name)).scalars().all()))


async def test_kernels_on_one_database_see_each_others_work(tmp_path: Path, address: DatabaseAddress) -> None:
    async with kernel_on(tmp_path / "a", address) as one, kernel_on(tmp_path / "b", address) as other:
        made = await make_project(one, "Shared")
        assert answer(await other.get(f"/api/projects/{made['id']}"))["name"] == "Shared"
        refusal(await other.post("/api/projects", json={"name": "SHARED"}), 409, "RESOURCE_CONFLICT")
        answer(await other.patch(f"/api/projects/{made['id']}", json={"description": "by the other"}))
        assert answer(await one.get(f"/api/projects/{made['id']}"))["description"] == "by the other"
        # A write that is sent again to another kernel is answered as by the first.
        key = {"idempotency-key": "idk_two"}
        first = await one.post("/api/templates", json={"name": "once", "content": "x"}, headers=key)
        again = await other.post("/api/templates", json={"name": "once", "content": "x"}, headers=key)
        assert (again.status_code, again.content) == (201, first.content)


async def test_writes_of_several_kernels_at_once_lose_nothing(tmp_path: Path, cluster: Cluster) -> None:
    address = cluster.emptied()
    async with AsyncExitStack() as stack:
        kernels = [await stack.enter_async_context(kernel_on(tmp_path / name, address)) for name in ("a", "b", "c")]
        calls = [
            kernel.post("/api/templates", json={"name": f"t{index}-{number}", "content": "x"})
            for number in range(20)
            for index, kernel in enumerate(kernels)
        ]
        # The same name everywhere at once: one has it, and the others are told.
        same = [kernel.post("/api/templates", json={"name": "same", "content": "x"}) for kernel in kernels]
        answers = await asyncio.gather(*calls, *same)
        assert [each.status_code for each in answers[:60]] == [201] * 60
        assert sorted(each.status_code for each in answers[60:]) == [201, 409, 409]
        page = answer(await kernels[0].get("/api/templates", params={"limit": 200}))
    assert len(page["items"]) == 61
    # Each write is in the chain of what was done, which no two kernels have forked.
    [(head, records)] = cluster.run("SELECT max(seq), count(*) FROM audit", address.url.split("@/")[1].split("?")[0])
    assert head == records


async def test_reads_see_one_moment_and_cannot_write(store: PostgresqlStore) -> None:
    def work(connection: object) -> list[int]:
        counted = select(func.count()).select_from(templates)
        before = connection.execute(counted).scalar_one()  # type: ignore[attr-defined]
        with store._turn() as other:
            other.execute(insert(templates).values(template("meanwhile")))
            other.commit()
        return [before, connection.execute(counted).scalar_one()]  # type: ignore[attr-defined]

    assert await store.read(work) == [0, 0]
    assert await names(store) == ["meanwhile"]
    with pytest.raises(StorageReadOnly):
        await store.read(lambda connection: connection.execute(insert(templates).values(template("y"))))


async def test_reads_go_on_beside_a_write_and_each_other(address: DatabaseAddress, store: PostgresqlStore) -> None:
    with psycopg.connect(address.url) as holding:
        holding.execute("SELECT pg_advisory_xact_lock(%s)", (WRITE_LOCK,))
        writing = asyncio.create_task(add(store))
        assert await asyncio.gather(*(names(store) for _ in range(20))) == [[]] * 20
        holding.rollback()
    await writing
    assert await names(store) == ["x"]


async def test_a_turn_to_write_that_does_not_come_is_told(address: DatabaseAddress) -> None:
    store = PostgresqlStore.open(address, busy_seconds=0.1)
    with psycopg.connect(address.url) as holding:
        holding.execute("SELECT pg_advisory_xact_lock(%s)", (WRITE_LOCK,))
        with pytest.raises(StorageLocked) as refused:
            await add(store)
    assert refused.value.entry().details["retryable"] is True
    await add(store)
    await store.close()


async def test_a_query_without_end_is_cut(address: DatabaseAddress) -> None:
    store = PostgresqlStore.open(DatabaseAddress(f"{address.url}&options=-c%20statement_timeout%3D100"))
    with pytest.raises(TimeoutExceeded):
        await store.read(lambda connection: connection.execute(text("SELECT pg_sleep(100)")))
    await store.close()


CUT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'nexus' AND pid <> pg_backend_pid()"
)


async def test_connections_that_were_cut_are_replaced(address: DatabaseAddress, store: PostgresqlStore) -> None:
    await add(store, "before")
    await names(store)
    for _ in range(2):
        with psycopg.connect(address.url) as other:
            other.execute(CUT.text)
        assert await names(store) == ["before"]
    with psycopg.connect(address.url) as other:
        other.execute(CUT.text)
    await add(store, "behind")
    assert sorted(await names(store)) == ["before", "behind"]


async def test_a_write_that_was_cut_is_never_done_twice(address: DatabaseAddress, store: PostgresqlStore) -> None:
    begun = 0

    def work(connection: object) -> None:
        nonlocal begun
        begun += 1
        connection.execute(insert(templates).values(template("cut")))  # type: ignore[attr-defined]
        with psycopg.connect(address.url) as other:
            other.execute(CUT.text)
        if inside:
            connection.execute(select(templates))  # type: ignore[attr-defined]

    inside = True
    with pytest.raises(BackendUnavailable):
        await store.write(work)
    inside = False
    # Cut as it is committed: nobody here can know what the server had done by then.
    with pytest.raises(OutcomeUnknown):
        await store.write(work)
    assert begun == 2
    assert await names(store) == []


async def test_a_transaction_that_does_nothing_gives_its_turn_back(address: DatabaseAddress) -> None:
    options = "-c%20idle_in_transaction_session_timeout%3D100"
    stopped = PostgresqlStore.open(DatabaseAddress(f"{address.url}&options={options}"))
    store = PostgresqlStore.open(address)
    began, done = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(connection: object) -> None:
        connection.execute(insert(templates).values(template("late")))  # type: ignore[attr-defined]
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(done.wait(), loop).result(SECONDS)

    stopping = asyncio.create_task(stopped.write(work))
    await asyncio.wait_for(began.wait(), SECONDS)
    await add(store, "next")
    done.set()
    with pytest.raises(BackendUnavailable):
        await stopping
    assert await names(store) == ["next"]
    await stopped.close()
    await store.close()


@pytest.mark.parametrize("value", ["nul \0", "x" * 3])
async def test_what_no_column_takes_is_the_callers_error(store: PostgresqlStore, value: str) -> None:
    wrong = {"name": value} if "\0" in value else {"seq": 2**40}
    table = templates if "\0" in value else metadata.tables["audit"]
    with pytest.raises(ValidationError):
        await store.write(lambda connection: connection.execute(update(table).values(**wrong)))


async def test_a_bug_is_no_matter_of_storage(store: PostgresqlStore) -> None:
    with pytest.raises(Exception, match="unheard_of") as raised:
        await store.read(lambda connection: connection.execute(text("SELECT * FROM unheard_of")))
    assert not isinstance(raised.value, NexusError)


def test_every_state_of_the_table_has_its_error(address: DatabaseAddress) -> None:
    server = Server.at(address, 1)
    for state, kind in BY_STATE.items():
        error = psycopg.errors.lookup(state)("words")
        told = database_error(error, server)
        assert type(told) is kind, state
        assert server.name in str(told.data) or server.name in str(told), state


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable) as refused:
        asyncio.run(open_store(tmp_path / "unused.db", DatabaseAddress(f"postgresql:///x?host={tmp_path}")))
    assert str(tmp_path) in str(refused.value)
    assert not list(tmp_path.iterdir())


WITHOUT_DRIVER = """
import asyncio, sys
from pathlib import Path
from nexus.kernel.database import open_store
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.errors import ExtraMissing

async def main():
    kernel = await Kernel.open(Path(sys.argv[1]), OneShotHost())
    await kernel.close()
    assert not {"psycopg", "nexus.kernel.postgresql"} & sys.modules.keys()
    sys.modules["psycopg"] = None
    try:
        await open_store(Path(sys.argv[1]) / "unused.db", DatabaseAddress("postgresql:///x"))
    except ExtraMissing as missing:
        print(missing.entry().details["hint"])

asyncio.run(main())
"""


def test_the_driver_is_wanted_for_an_address_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_DRIVER, str(tmp_path / "data")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert run.stdout == "pip install 'nexus-cli[postgresql]'\n", run.stderr


@pytest.mark.parametrize(
    "url",
    [
        *("mysql://host/x", "/tmp/x.db", "postgresql://host:none-such/x", "postgresql://u:a/none-such@host/x"),
        *("postgresql://u:a@none-such@host/x", "postgresql://u:1/none-such@host/x", "postgresql://u:none-such%/x"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_words(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        asyncio.run(open_store(tmp_path / "unused.db", DatabaseAddress(url)))
    assert "none-such" not in f"{refused.value.entry()} {refused.value.__cause__}"


def test_a_password_comes_from_the_address_or_the_surroundings_and_is_never_told(
    cluster: Cluster, address: DatabaseAddress
) -> None:
    name = address.url.split("@/")[1].split("?")[0]
    plain = cluster.address(name, "guarded").url
    passfile = cluster.folder / "passfile"
    passfile.write_text(f"*:*:{name}:guarded:{PASSWORD}\n")
    passfile.chmod(0o600)
    for given in (
        cluster.address(name, "guarded", password=PASSWORD),
        DatabaseAddress(plain, {"PGPASSWORD": PASSWORD}),
        DatabaseAddress(plain, {"PGPASSFILE": str(passfile)}),
    ):
        assert PASSWORD not in repr(given)
        store = PostgresqlStore.open(given)
        assert PASSWORD not in f"{store.name} {store._writes!r}"
        store._close()
    wrong = cluster.address(name, "guarded", password="wrong horse")
    with pytest.raises(BackendUnavailable) as refused:
        PostgresqlStore.open(wrong)
    told = f"{refused.value.entry()} {refused.value.__cause__!r} {refused.value}"
    assert "guarded" in told
    assert "wrong horse" not in told


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


WRITER = """
import asyncio, json, sys
from pathlib import Path
import httpx
from nexus.kernel.database import open_store
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store.store import DatabaseAddress

async def main():
    settings = KernelSettings(secret=sys.argv[3], database=DatabaseAddress(sys.argv[2]))
    kernel = await Kernel.open(Path(sys.argv[1]), OneShotHost(), settings=settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        for number in range(100_000):
            project = (await api.post("/api/projects", json={"name": f"{sys.argv[4]} {number}"})).json()
            body = {"title": "r"}
            answered = await api.post(f"/api/projects/{project['id']}/roadmaps", json=body)
            print(json.dumps([project["id"], answered.json()["id"]]), flush=True)

asyncio.run(main())
"""


async def test_a_kernel_killed_in_its_writes_leaves_each_whole_or_undone(
    tmp_path: Path, address: DatabaseAddress
) -> None:
    told: list[list[str]] = []
    for turn in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "killed"), address.url, SECRET, f"turn {turn}"]
        writer = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        told.extend([json.loads(await writer.stdout.readline()) for _ in range(3 + 2 * turn)])
        writer.send_signal(signal.SIGKILL)
        rest = await writer.stdout.read()
        told.extend(json.loads(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n"))
        await writer.wait()
    async with kernel_on(tmp_path / "other", address) as api:
        for project, roadmap in told:
            assert answer(await api.get(f"/api/projects/{project}"))["id"] == project
            assert answer(await api.get(f"/api/roadmaps/{roadmap}"))["projectId"] == project
        # The turn to write was the dead kernel's, and is not any more.
        await make_project(api, "next")
    with psycopg.connect(address.url) as connection:
        # What was done, what was written down of it, and the chain's head went together.
        [done] = connection.execute(
            "SELECT (SELECT count(*) FROM projects) + (SELECT count(*) FROM roadmaps)"
        ).fetchone()
        [records, head] = connection.execute("SELECT count(*), (SELECT seq FROM audit_head) FROM audit").fetchone()
    assert done == records == head
