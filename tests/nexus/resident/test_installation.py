"""Whether the code on disk is still the code that runs."""

import os
import time
from pathlib import Path

import pytest

from nexus.resident.installation import Installation


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "nexus" / "cli").mkdir(parents=True)
    (tmp_path / "nexus" / "__init__.py").write_text("")
    (tmp_path / "nexus" / "cli" / "run.py").write_text("one")
    return tmp_path


@pytest.fixture
def wheel(site: Path) -> Path:
    (site / "nexus_cli-1.0.dist-info").mkdir()
    (site / "nexus_cli-1.0.dist-info" / "RECORD").write_text("files")
    return site


def test_a_wheel_is_judged_by_what_its_installer_wrote(wheel: Path) -> None:
    installation = Installation(str(wheel))
    (wheel / "nexus" / "cli" / "run.py").write_text("edited by hand")
    assert not installation.changed()
    (wheel / "nexus_cli-1.0.dist-info" / "RECORD").write_text("files anew")
    assert installation.changed()


def test_a_wheel_that_was_removed_has_changed(wheel: Path) -> None:
    installation = Installation(str(wheel))
    (wheel / "nexus_cli-1.0.dist-info" / "RECORD").unlink()
    assert installation.changed()


@pytest.mark.parametrize("change", ["edit", "add", "remove", "touch"])
def test_a_checkout_is_judged_by_its_files(site: Path, change: str) -> None:
    installation = Installation(str(site))
    assert not installation.changed()
    run = site / "nexus" / "cli" / "run.py"
    match change:
        case "edit":
            run.write_text("another")
        case "add":
            (site / "nexus" / "cli" / "more.py").write_text("")
        case "remove":
            run.unlink()
        case "touch":
            os.utime(run, (1, 1))
    assert installation.changed()


def test_what_python_caches_is_no_change(site: Path) -> None:
    installation = Installation(str(site))
    (site / "nexus" / "__pycache__").mkdir()
    (site / "nexus" / "__pycache__" / "run.py").write_text("")
    (site / "nexus" / "notes.txt").write_text("")
    assert not installation.changed()


def test_folders_that_are_links_are_looked_into(site: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "handler.py").write_text("one")
    (site / "nexus" / "handlers").symlink_to(elsewhere)
    installation = Installation(str(site))
    (elsewhere / "handler.py").write_text("another")
    assert installation.changed()


def test_one_folder_by_two_paths_is_one_installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "site"
    link.symlink_to(wheel)
    assert Installation(str(link)).identity == Installation(str(wheel)).identity


def test_a_wheel_is_judged_in_next_to_no_time(wheel: Path) -> None:
    installation = Installation(str(wheel))
    before = time.process_time()
    for _ in range(1000):
        installation.changed()
    assert time.process_time() - before < 2
