"""The folders of runs are removed whatever a step left in them, and nothing beside them."""

import os
from pathlib import Path

import pytest

from nexus.kernel.pipelines.folders import GONE, RunFolders

DEEP = 3000
"""Deeper than a path may be long, and than a function may call itself."""


@pytest.fixture
def folders(tmp_path: Path) -> RunFolders:
    data = tmp_path / "data"
    data.mkdir()
    return RunFolders(data)


def test_an_attempt_has_folders_of_its_own_and_links_to_what_it_needs(folders: RunFolders) -> None:
    before = folders.make("run_1", "extract", 1, {})
    (before.work / "out").write_text("rows")
    made = folders.make("run_1", "load", 2, {"extract": before.work})
    assert (made.inputs / "extract" / "out").read_text() == "rows"
    assert made.work == folders.work("run_1", "load", 2)
    for folder in (folders.runs, made.work, made.tmp, made.inputs, *made.work.parents[:3]):
        assert folder.stat().st_mode & 0o777 == 0o700
    # One that was begun before, and not told of, is made anew.
    (made.work / "half").write_text("")
    assert list(folders.make("run_1", "load", 2, {}).work.iterdir()) == []


def test_no_link_deep_folder_or_lost_right_keeps_a_run_from_being_removed(folders: RunFolders, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "file").write_text("stays")
    work = folders.make("run_1", "extract", 1, {}).work
    (work / "link").symlink_to(beside)
    (work / "dangling").symlink_to("nowhere")
    os.mkfifo(work / "pipe")
    closed = work / "closed" / "inner"
    closed.mkdir(parents=True)
    (closed / "file").write_text("")
    (closed / "link").symlink_to(beside)
    closed.chmod(0)
    closed.parent.chmod(0o100)
    here = os.open(work, os.O_RDONLY)
    for _ in range(DEEP):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    other = folders.make("run_2", "extract", 1, {}).work
    folders.remove("run_1")
    folders.remove("run_1")
    assert folders.names() == ["run_2"]
    assert sorted(os.listdir(folders.runs)) == ["run_2"]
    assert (beside / "file").read_text() == "stays"
    assert other.is_dir()


def test_what_an_earlier_process_was_about_to_remove_goes(folders: RunFolders) -> None:
    folders.make("run_1", "extract", 1, {})
    (folders.runs / "run_1").rename(folders.runs / f"{GONE}1")
    assert folders.names() == []
    folders.sweep()
    assert os.listdir(folders.runs) == []


def test_a_link_in_the_place_of_a_folder_is_not_gone_through(folders: RunFolders, tmp_path: Path) -> None:
    folders.make("run_1", "extract", 1, {})
    beside = tmp_path / "beside"
    beside.mkdir()
    (folders.runs / "run_2").symlink_to(beside)
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        folders.make("run_2", "extract", 1, {})
    folders.remove("run_2")
    assert folders.names() == ["run_1"]
    assert list(beside.iterdir()) == []
