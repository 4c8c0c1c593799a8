"""One kernel owns a data folder: the second learns who, and a dead owner leaves nothing in the way."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.store.ownership import acquire
from nexus.schemas.errors import FolderOwned

OWNER = """
import sys
from pathlib import Path
from nexus.kernel.store.ownership import acquire
held = acquire(Path(sys.argv[1]), Path("/run/owner.sock"))
print("owned", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path: Path):
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"owned\n"
        yield process
        if process.poll() is None:
            process.communicate()


def test_whoever_finds_a_folder_owned_learns_by_whom(tmp_path: Path, owner: subprocess.Popen) -> None:
    with pytest.raises(FolderOwned) as refused:
        acquire(tmp_path, None)
    assert refused.value.data["pid"] == owner.pid
    assert refused.value.data["socket"] == "/run/owner.sock"


def test_a_killed_owner_leaves_the_folder_free(tmp_path: Path, owner: subprocess.Popen) -> None:
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    acquire(tmp_path, None).release()


def test_a_released_folder_is_owned_anew(tmp_path: Path) -> None:
    first = acquire(tmp_path, Path("/a/socket"))
    with pytest.raises(FolderOwned) as refused:
        acquire(tmp_path, None)
    assert refused.value.data["pid"] == os.getpid()
    first.release()
    first.release()
    acquire(tmp_path, None).release()


def test_what_an_owner_starts_does_not_own_the_folder(tmp_path: Path) -> None:
    first = acquire(tmp_path, None)
    program = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first.release()
        acquire(tmp_path, None).release()
        process.communicate(b"\n")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff" * 10_000])
def test_an_owner_that_has_not_said_who_it_is_is_an_owner(tmp_path: Path, content: bytes) -> None:
    first = acquire(tmp_path, None)
    (tmp_path / "kernel.lock").write_bytes(content)
    with pytest.raises(FolderOwned) as refused:
        acquire(tmp_path, None)
    assert refused.value.data["pid"] is None
    assert "in use" in str(refused.value)
    first.release()


async def test_two_kernels_never_share_a_folder(data_folder: Path) -> None:
    first = await Kernel.open(data_folder, replace(OneShotHost(), socket=Path("/run/first.sock")))
    assert data_folder.stat().st_mode & 0o777 == 0o700
    assert (data_folder / "nexus.db").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FolderOwned) as refused:
        await Kernel.open(data_folder, OneShotHost())
    assert refused.value.data["socket"] == "/run/first.sock"
    await first.close()
    second = await Kernel.open(data_folder, OneShotHost())
    await second.close()


async def test_a_kernel_that_could_not_open_owns_nothing(data_folder: Path) -> None:
    data_folder.mkdir()
    (data_folder / "nexus.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(Exception, match="damaged"):
        await Kernel.open(data_folder, OneShotHost())
    acquire(data_folder, None).release()
