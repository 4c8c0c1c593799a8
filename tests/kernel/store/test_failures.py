"""A database that is locked, read-only, corrupt, newer, on a full disk or a network: each its own clear error."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert, select

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.store import failures
from nexus.kernel.store.filesystem import NETWORK, filesystem_of, refuse_network
from nexus.kernel.store.schema import templates
from nexus.kernel.store.sqlite import SqliteStore
from nexus.schemas.errors import (
    BackendError,
    NexusError,
    StorageCorrupt,
    StorageFull,
    StorageLocked,
    StorageReadOnly,
    StorageUnsupported,
    VersionConflict,
)
from tests.kernel.answers import answer, refusal

ROW = {
    "id": "tpl_1",
    "name": "x",
    "name_key": "x",
    "content": "x",
    "created_at": "2026-11-20T12:00:00.000000Z",
    "updated_at": "2026-11-20T12:00:00.000000Z",
}

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, *statements: str) -> Iterator[None]:
    """Another process has run the statements on the database and keeps what they took."""
    command = [sys.executable, "-c", HOLD, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nexus.db"


async def rows(store: SqliteStore) -> int:
    return len(await store.read(lambda connection: connection.execute(select(templates)).all()))


async def add(store: SqliteStore, content: str = "x") -> None:
    await store.write(lambda connection: connection.execute(insert(templates).values({**ROW, "content": content})))


async def test_a_locked_database_is_read_and_its_writer_told(path: Path) -> None:
    store = SqliteStore.open(path, busy_seconds=0.1)
    with held(path, "BEGIN IMMEDIATE"):
        assert await rows(store) == 0
        with pytest.raises(StorageLocked) as refused:
            await add(store)
    assert refused.value.entry().details["retryable"] is True
    await add(store)
    assert await rows(store) == 1
    await store.close()


async def test_a_lock_that_ends_in_time_is_waited_for(path: Path) -> None:
    store = SqliteStore.open(path, busy_seconds=20)
    with held(path, "BEGIN IMMEDIATE"):
        adding = asyncio.create_task(add(store))
        # Reads go on beside a writer that waits.
        assert await rows(store) == 0
    await adding
    assert await rows(store) == 1
    await store.close()


def test_a_database_that_is_held_alone_cannot_be_opened(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    with held(path, "BEGIN EXCLUSIVE"), pytest.raises(StorageLocked):
        SqliteStore.open(path, busy_seconds=0.1)


@pytest.mark.parametrize("garbage", [b"no database at all, but long enough to have a header" * 100, b"\0" * 5000])
def test_a_file_that_is_no_database_is_told_as_corrupt(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    with pytest.raises(StorageCorrupt) as refused:
        SqliteStore.open(path)
    assert refused.value.data["path"] == str(path)
    assert path.read_bytes() == garbage


async def test_a_damaged_page_is_told_as_corrupt(path: Path) -> None:
    store = SqliteStore.open(path)
    await add(store, "content " * 10_000)
    await store.close()
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)
    store = SqliteStore(path)
    with pytest.raises(StorageCorrupt):
        await rows(store)
    await store.close()


async def test_a_full_database_is_told_and_goes_on_when_there_is_room(path: Path) -> None:
    store = SqliteStore.open(path)

    async def most_pages(number: int) -> None:
        await store.write(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={number}"))

    await most_pages(1)
    with pytest.raises(StorageFull):
        await add(store, "x" * 1_000_000)
    assert await rows(store) == 0
    await most_pages(1_000_000)
    await add(store, "x" * 1_000_000)
    assert await rows(store) == 1
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("nothing may be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_told_over_the_api_and_nothing_is_half_there(small_disk: Path) -> None:
    kernel = await Kernel.open(small_disk / "data", OneShotHost())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        full = await api.post("/api/templates", json={"name": "big", "content": "x" * 900_000})
        assert refusal(full, 507, "STORAGE_FULL")["type"] == "backend"
        assert answer(await api.get("/api/templates"))["items"] == []
        answer(await api.post("/api/templates", json={"name": "small", "content": "x"}), 201)
        project = answer(await api.post("/api/projects", json={"name": "p"}), 201)
        body = {"projectId": project["id"], "path": "big", "content": "x" * 900_000}
        refusal(await api.post("/api/files/content", json=body), 507, "STORAGE_FULL")
        assert answer(await api.get("/api/files/tree", params={"projectId": project["id"]}))["items"] == []
    await kernel.close()


def test_a_disk_that_was_full_from_the_start_is_told(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(b"x" * 1_000_000)
    with pytest.raises(StorageFull):
        SqliteStore.open(small_disk / "nexus.db")


READ_ONLY = """
import asyncio, os, sys
from pathlib import Path
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.schemas.errors import NexusError
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    asyncio.run(Kernel.open(Path(sys.argv[1]), OneShotHost()))
except NexusError as error:
    print(error.code)
"""


@pytest.mark.parametrize("case", ["database", "folder", "home"])
def test_what_cannot_be_written_to_is_told_as_read_only(tmp_path: Path, case: str) -> None:
    home = tmp_path / "home"
    folder = home / "data"
    home.mkdir()
    if case != "home":
        asyncio.run(opened_and_closed(folder))
    # As root one may write everything: the other process lays that down, so it must be able to get here.
    others = [tmp_path, *tmp_path.parents[:-2]]
    modes = {place: place.stat().st_mode for place in others}
    for place in others:
        place.chmod(modes[place] | 0o011)
    for name in (folder, *folder.glob("*")) if case != "home" else ():
        name.chmod(0o777)
    blocked = {"database": folder / "nexus.db", "folder": folder, "home": home}[case]
    blocked.chmod(0o555 if blocked.is_dir() else 0o444)
    try:
        command = [sys.executable, "-c", READ_ONLY, str(folder)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        blocked.chmod(0o700)
        for place, mode in modes.items():
            place.chmod(mode)
    assert told.stdout == "STORAGE_READ_ONLY\n", told.stderr


async def opened_and_closed(folder: Path) -> None:
    kernel = await Kernel.open(folder, OneShotHost())
    await kernel.close()


@pytest.mark.parametrize("change", ["UPDATE alembic_version SET version_num = '9999'", "DROP TABLE alembic_version"])
async def test_a_database_that_a_newer_nexus_wrote_is_left_alone(data_folder: Path, change: str) -> None:
    await opened_and_closed(data_folder)
    with closing(sqlite3.connect(data_folder / "nexus.db")) as connection:
        connection.execute(change)
        connection.commit()
    before = (data_folder / "nexus.db").read_bytes()
    with pytest.raises(VersionConflict) as refused:
        await Kernel.open(data_folder, OneShotHost())
    assert "Update Nexus" in refused.value.entry().details["hint"]
    assert (data_folder / "nexus.db").read_bytes() == before


def test_a_network_file_system_is_refused_by_its_type(tmp_path: Path) -> None:
    refuse_network(tmp_path)
    refuse_network(tmp_path, lambda folder: "ext4")
    for kind in sorted(NETWORK):
        with pytest.raises(StorageUnsupported) as refused:
            refuse_network(tmp_path, lambda folder, kind=kind: kind)
        assert refused.value.data["filesystem"] == kind


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and tmpfs are Linux's")
def test_the_file_system_of_a_folder_is_told(small_disk: Path) -> None:
    assert filesystem_of(Path("/proc")) == "proc"
    assert filesystem_of(small_disk) == "tmpfs"


def test_the_table_of_refusals_knows_every_primary_code_of_storage() -> None:
    for name in ("BUSY", "LOCKED", "PROTOCOL", "READONLY", "PERM", "CANTOPEN", "CORRUPT", "NOTADB", "FULL", "IOERR"):
        error = sqlite3.OperationalError(name)
        error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
        assert isinstance(failures.storage_error(error, Path("x")), BackendError), name
    for name in ("ERROR", "CONSTRAINT", "MISMATCH", "MISUSE", "RANGE", "SCHEMA"):
        error = sqlite3.OperationalError(name)
        error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
        assert failures.storage_error(error, Path("x")) is None, name


async def test_a_bug_is_no_matter_of_storage(path: Path) -> None:
    store = SqliteStore.open(path)
    with pytest.raises(Exception, match="no such table") as raised:
        await store.read(lambda connection: connection.exec_driver_sql("SELECT * FROM unheard_of"))
    assert not isinstance(raised.value, NexusError)
    await store.close()


async def test_an_error_undoes_the_whole_write(path: Path) -> None:
    store = SqliteStore.open(path)

    def work(connection: object) -> None:
        connection.execute(insert(templates).values(ROW))  # type: ignore[attr-defined]
        raise StorageReadOnly(path="x")

    with pytest.raises(StorageReadOnly):
        await store.write(work)
    assert await rows(store) == 0
    await store.close()


async def test_what_was_written_outlives_a_power_cut(path: Path) -> None:
    """In WAL mode only FULL has the log on the disk before a commit is answered."""
    store = SqliteStore.open(path)
    mode = await store.write(lambda connection: connection.exec_driver_sql("PRAGMA synchronous").scalar_one())
    assert mode == 2
    await store.close()
