"""The script `nexus` finds its own interpreter, however it was installed and is called."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def version(home: Any, *command: str | Path, env: dict[str, str] | None = None, cwd: str | Path = "/") -> None:
    done = subprocess.run(
        [*command, "version"], check=False, env=env or home.env(), cwd=cwd, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["data"]["name"] == "nexus"


def test_by_a_link_to_it_as_pipx_makes(home: Any, tmp_path: Path) -> None:
    link, second = tmp_path / "nexus", tmp_path / "a folder" / "other name"
    link.symlink_to(home.script)
    second.parent.mkdir()
    second.symlink_to("../nexus")
    version(home, link)
    version(home, second)


def test_by_a_link_beside_another_interpreter(home: Any, tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\necho wrong\n")
    (tmp_path / "python3").chmod(0o755)
    (tmp_path / "nexus").symlink_to(home.script)
    version(home, tmp_path / "nexus")


@pytest.mark.parametrize("name", ["nexus", "./nexus", "../bin/nexus"])
def test_by_a_relative_name(home: Any, name: str) -> None:
    folder = home.script.parent
    version(home, name if "/" in name else "sh", *([] if "/" in name else [name]), cwd=folder)
    pid = home.pid()
    version(home, home.script)
    assert home.pid() == pid, "one installation by two names is one"


def test_by_a_search_path_with_an_empty_entry(home: Any) -> None:
    version(home, "/usr/bin/env", "nexus", cwd=home.script.parent, env=home.env(PATH=":/usr/bin:/bin"))


def test_from_a_folder_that_is_a_link(home: Any, tmp_path: Path) -> None:
    (tmp_path / "mybin").symlink_to(home.script.parent)
    version(home, tmp_path / "mybin" / "nexus")


def test_from_a_path_longer_than_an_interpreter_line_may_be(homes: Callable[..., Any], installed: Path) -> None:
    home = homes(installed)
    long = home.path / ("a long name " * 10) / ("and another " * 10)
    long.parent.mkdir()
    shutil.copytree(installed.parents[1], long, symlinks=True)
    version(home, long / "bin" / "nexus")


def test_installed_for_a_user_without_an_interpreter_beside_it(
    homes: Callable[..., Any], installed: Path, tmp_path: Path
) -> None:
    """As `pip install --user` lays it out; the packages it needs are in the same folder."""
    home = homes(installed)
    local = home.path / ".local"
    shutil.copytree(installed.parents[1] / "lib", local / "lib", symlinks=True)
    (local / "bin").mkdir()
    shutil.copy(installed, local / "bin" / "nexus")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / PYTHON).symlink_to(Path(sys.base_prefix) / "bin" / PYTHON)
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    version(home, local / "bin" / "nexus", env=home.env(PATH=path))
    version(home, local / "bin" / "nexus", env=home.env(PATH=path, NEXUS_RESIDENT="0"))


def test_without_a_search_path_the_interpreter_knows_where_it_is(
    homes: Callable[..., Any], installed: Path, tmp_path: Path
) -> None:
    if shutil.which(PYTHON, path="/usr/local/bin:/usr/bin:/bin") is None:
        pytest.skip(f"{PYTHON} is not where a shell without a PATH looks")
    home = homes(installed)
    local = home.path / ".local"
    shutil.copytree(installed.parents[1] / "lib", local / "lib", symlinks=True)
    start = local / "lib" / PYTHON / "site-packages" / "nexus" / "start.py"
    start.write_text("import sys\n\n\ndef start():\n    sys.stdout.write(sys.executable)\n")
    (local / "bin").mkdir()
    shutil.copy(installed, local / "bin" / "nexus")
    done = subprocess.run([local / "bin" / "nexus", "version"], env={}, capture_output=True, timeout=60, check=False)
    assert done.stdout.startswith(b"/"), done


def test_from_a_checkout(homes: Callable[..., Any], installed: Path) -> None:
    home = homes(installed)
    version(home, ROOT / "nexus" / "launcher" / "nexus", env=home.env(PYTHON=sys.executable))


def test_installed_editable(homes: Callable[..., Any], installed: Path, tmp_path: Path) -> None:
    """As `pip install -e` lays it out: no package in the site folder, but a path to it."""
    prefix = tmp_path / "editable"
    shutil.copytree(installed.parents[1], prefix, symlinks=True)
    site = prefix / "lib" / PYTHON / "site-packages"
    shutil.rmtree(site / "nexus")
    (site / "__editable__.nexus_cli.pth").write_text(f"{ROOT}\n")
    home = homes(prefix / "bin" / "nexus")
    version(home, home.script)
    assert home.run("agent", "project", "list").status == 0
    version(home, home.script, env=home.env(NEXUS_RESIDENT="0"))
