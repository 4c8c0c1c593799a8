"""kill -9 at any moment of a push and a pull: the file is whole before or whole after, and the next try goes on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Shell

SIZE = 64 * 1024 * 1024
MOMENTS = (1, 3)
"""Behind so many lines of events the processes are killed."""


@pytest.fixture
def big(shell: Shell) -> Shell:
    # Mostly holes: it is long to move, and takes no room.
    with (shell.cwd / "big").open("wb") as file:
        file.write(os.urandom(1024))
        file.truncate(SIZE)
    return shell


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_of(shell: Shell, line: str) -> Any:
    done = shell.run(line)
    assert done.returncode == 0, (line, done.stdout[-2000:], done.stderr[-2000:])
    return json.loads(done.stdout)["data"]


@contextmanager
def following(shell: Shell, line: str, lines: int) -> Iterator[tuple[subprocess.Popen[bytes], list[dict[str, Any]]]]:
    """Run a command until it has printed so many events, and yield them; it is read to its end behind the block."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {line} --follow"],
        cwd=shell.cwd,
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdout is not None
        yield running, [json.loads(running.stdout.readline()) for _ in range(lines)]
        running.stdout.read()
        running.wait(60)


def kill_resident(shell: Shell) -> None:
    pid = data_of(shell, "nexus debug kernel status")["pid"]
    resident = psutil.Process(pid)
    resident.kill()
    resident.wait(30)


def drafts(shell: Shell) -> set[str]:
    folder = Path(shell.environment["NEXUS_HOME"]) / "data" / "blobs" / "drafts"
    return {path.name.removesuffix(".parts") for path in folder.iterdir()}


def test_a_push_goes_on_by_itself_when_its_kernel_is_killed(big: Shell) -> None:
    wanted = sha256(big.cwd / "big")
    for moment in MOMENTS:
        with following(big, "nexus data dataset push big", moment) as (running, events):
            kill_resident(big)
            events.extend(map(json.loads, running.stdout or ()))
            assert running.wait(60) == 0
        assert [event["event"] for event in events].count("metadata") == 1
        assert [event["event"] for event in events].count("close") == 1
        assert [event["seq"] for event in events[1:]] == list(range(1, len(events)))
        assert events[-2]["payload"]["sha256"] == wanted
        assert data_of(big, "nexus data dataset verify big")["verified"]
        data_of(big, "nexus data dataset delete big --yes")
        assert drafts(big) == set()


def test_a_push_that_is_killed_with_its_kernel_is_whole_or_not_there_and_goes_on(big: Shell) -> None:
    wanted = sha256(big.cwd / "big")
    for moment in MOMENTS:
        with following(big, "nexus data dataset push big", moment) as (running, _):
            running.send_signal(signal.SIGKILL)
            kill_resident(big)
        for item in data_of(big, "nexus data dataset list")["items"]:
            # Killed behind its end: then it is whole.
            assert item["sha256"] == wanted
            data_of(big, "nexus data dataset verify big")
            data_of(big, "nexus data dataset delete big --yes")
        assert len(drafts(big)) <= 1
    assert data_of(big, "nexus data dataset push big")["sha256"] == wanted
    assert data_of(big, "nexus data dataset verify big")["verified"]
    assert drafts(big) == set()


def test_a_pull_that_is_killed_leaves_no_file_of_that_name_and_goes_on(big: Shell) -> None:
    wanted = data_of(big, "nexus data dataset push big")["sha256"]
    target = big.cwd / "copy"
    for moment in MOMENTS:
        with following(big, "nexus data dataset pull big copy", moment) as (running, _):
            running.send_signal(signal.SIGKILL)
            kill_resident(big)
        if target.exists():
            assert sha256(target) == wanted
            target.unlink()
    got = data_of(big, "nexus data dataset pull big copy")
    assert got["sha256"] == sha256(target) == wanted
    assert {path.name for path in big.cwd.iterdir()} == {"big", "copy"}


def test_a_command_that_is_alone_and_killed_leaves_what_the_next_one_goes_on_with(big: Shell) -> None:
    alone = {**big.environment, "NEXUS_RESIDENT": "0"}
    big.environment.update(alone)
    with following(big, "nexus data dataset push big", 2) as (running, _):
        running.send_signal(signal.SIGKILL)
    data_of(big, "nexus data dataset push big --replace")
    with following(big, "nexus data dataset pull big copy", 2) as (running, _):
        running.send_signal(signal.SIGKILL)
    data_of(big, "nexus data dataset pull big copy --overwrite")
    assert sha256(big.cwd / "copy") == sha256(big.cwd / "big")
