"""What a run reads and what it leaves: data sets laid out and checked, artifacts kept in somebody's transaction."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import select

from nexus.kernel.data.kept import KeptBytes
from nexus.kernel.database import open_store
from nexus.kernel.keys import Keys
from nexus.kernel.pipelines.inputs import Inputs
from nexus.kernel.pipelines.outputs import Outputs
from nexus.kernel.store.schema import artifacts, blobs, uploads
from nexus.kernel.store.store import Store
from nexus.schemas.errors import ChecksumMismatch, NexusError, NotFound, PermissionDenied, ValidationError
from nexus.schemas.run import RunDataset

CONTENT = os.urandom(1024) * 40_000
"""Three parts, the last of them short."""


class Place:
    """A store of a kernel's own, its bytes, and a folder that a step worked in."""

    def __init__(self, store: Store, kept: KeptBytes, work: Path) -> None:
        self.store = store
        self.kept = kept
        self.work = work
        self.outputs = Outputs(store, kept)
        self.inputs = Inputs(store, kept)

    async def keep(self, wanted: Mapping[str, str]) -> list[str]:
        staged = await self.outputs.stage(self.work, wanted, "run_1")
        made = await self.store.write(lambda connection: self.outputs.keep(connection, staged))
        await self.outputs.settle()
        return made

    def kept_files(self) -> list[Path]:
        return [path for path in (self.kept.folder).rglob("*") if path.is_file()]


@pytest.fixture
async def place(tmp_path: Path):
    data_folder, work = tmp_path / "data", tmp_path / "work"
    data_folder.mkdir(mode=0o700)
    work.mkdir()
    store = await open_store(data_folder / "nexus.db", None)
    keys = Keys(data_folder, "s" * 40)
    kept = KeptBytes(data_folder, keys, None)
    yield Place(store, kept, work)
    await kept.close()
    await store.close()


async def test_artifacts_are_kept_in_the_transaction_that_says_so(place: Place) -> None:
    (place.work / "out").mkdir()
    (place.work / "out" / "big.bin").write_bytes(CONTENT)
    (place.work / "empty.txt").write_bytes(b"")
    staged = await place.outputs.stage(place.work, {"big": "out/big.bin", "nothing": "empty.txt"}, "run_1")
    assert await place.store.read(lambda connection: connection.execute(select(artifacts)).all()) == []
    ids = await place.store.write(lambda connection: place.outputs.keep(connection, staged))
    rows = await place.store.read(lambda connection: connection.execute(select(artifacts)).all())
    assert [row.id for row in rows] == ids
    assert {(row.name, row.filename, row.run_id, row.size) for row in rows} == {
        ("big", "big.bin", "run_1", len(CONTENT)),
        ("nothing", "empty.txt", "run_1", 0),
    }
    assert {row.sha256 for row in rows} == {hashlib.sha256(each).hexdigest() for each in (CONTENT, b"")}
    assert await place.store.read(lambda connection: connection.execute(select(uploads)).all()) == []


async def test_what_is_dropped_leaves_nothing(place: Place) -> None:
    (place.work / "a").write_bytes(b"one")
    staged = await place.outputs.stage(place.work, {"a": "a"}, "run_1")
    await place.outputs.drop(staged)
    assert place.kept_files() == []
    for table in (uploads, artifacts, blobs):
        assert await place.store.read(lambda connection, of=table: connection.execute(select(of)).all()) == []


async def test_equal_content_is_stored_once(place: Place) -> None:
    (place.work / "a").write_bytes(b"same")
    (place.work / "b").write_bytes(b"same")
    assert len(await place.keep({"a": "a", "b": "b"})) == 2
    assert len(place.kept_files()) == 1


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("missing", NotFound),
        ("a/../../secret", PermissionDenied),
        ("link", PermissionDenied),
        ("absolute", PermissionDenied),
        ("folder", ValidationError),
        ("pipe", ValidationError),
        ("a-file/below", NotFound),
    ],
)
async def test_only_a_file_of_the_folder_becomes_an_artifact(
    place: Place, path: str, refusal: type[NexusError]
) -> None:
    work = place.work
    (work.parent / "secret").write_bytes(b"secret")
    (work / "a").mkdir()
    (work / "good").write_bytes(b"good")
    (work / "a-file").write_bytes(b"good")
    (work / "link").symlink_to("../secret")
    (work / "absolute").symlink_to(work.parent / "secret")
    (work / "folder").mkdir()
    os.mkfifo(work / "pipe")
    with pytest.raises(refusal):
        await place.outputs.stage(work, {"good": "good", "bad": path}, "run_1")
    assert place.kept_files() == []


async def test_a_link_that_stays_inside_is_followed(place: Place) -> None:
    (place.work / "real").write_bytes(b"content")
    (place.work / "latest").symlink_to("real")
    assert len(await place.keep({"latest": "latest"})) == 1


async def dataset(place: Place) -> RunDataset:
    """Keep content as somebody's, and return it as a data set of a run."""
    (place.work / "in.csv").write_bytes(CONTENT)
    await place.keep({"in": "in.csv"})
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    return RunDataset(id="dst_1", name="in", filename="in.csv", size=len(CONTENT), sha256=sha256)


async def test_data_sets_are_laid_out_once_and_cannot_be_written(place: Place, tmp_path: Path) -> None:
    sales = await dataset(place)
    laid = await place.inputs.lay_out({"sales": sales}, tmp_path / "datasets")
    assert laid == {"sales": tmp_path / "datasets" / "sales" / "in.csv"}
    assert laid["sales"].read_bytes() == CONTENT
    assert laid["sales"].stat().st_mode & 0o777 == 0o400
    before = laid["sales"].stat().st_ino
    again = await place.inputs.lay_out({"sales": sales}, tmp_path / "datasets")
    assert again["sales"].stat().st_ino == before


async def test_damaged_or_deleted_bytes_are_no_data_set(place: Place, tmp_path: Path) -> None:
    sales = await dataset(place)
    (stored,) = place.kept_files()
    stored.chmod(0o600)
    stored.write_bytes(b"x" * len(CONTENT))
    with pytest.raises(ChecksumMismatch):
        await place.inputs.lay_out({"sales": sales}, tmp_path / "datasets")
    assert not (tmp_path / "datasets" / "sales" / "in.csv").exists()
    gone = sales.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(NotFound):
        await place.inputs.lay_out({"other": gone}, tmp_path / "datasets")
