"""A step ends as its program ends, and whole, however it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any

import pytest

from tests.nexus.confinement.conftest import SECONDS, WAYS

if TYPE_CHECKING:
    from tests.nexus.confinement.conftest import Steps

every_way = pytest.mark.parametrize("steps", WAYS, indirect=True)


def line_of(end: IO[bytes] | None) -> bytes:
    assert end is not None
    return end.readline().strip()


def rest_of(process: subprocess.Popen[bytes]) -> bytes:
    """Return what is printed until nobody is left who could print."""
    return process.communicate(timeout=SECONDS)[0]


@every_way
def test_a_step_ends_as_its_program_does(steps: Steps) -> None:
    assert steps.run("sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")
    assert steps.run("sh", "-c", "exit 1")[0] == 1
    assert steps.run("python3", "-c", "import ctypes; ctypes.string_at(0)")[0] == 128 + signal.SIGSEGV
    status, _, said = steps.run("no-such-program")
    assert (status, "no-such-program" in said) == (127, True)
    assert steps.run(str(steps.work))[0] == 126


@every_way
def test_a_program_that_is_told_to_end_has_the_time_it_takes(steps: Steps) -> None:
    process = steps.start("sh", "-c", "trap 'echo ending; exit 5' TERM; echo begun; while :; do sleep 0.05; done")
    assert line_of(process.stdout) == b"begun"
    os.killpg(process.pid, signal.SIGTERM)
    assert rest_of(process) == b"ending\n"
    assert process.returncode == 5


@every_way
def test_signals_do_to_a_program_what_they_always_do(steps: Steps) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        process = steps.start("sh", "-c", "echo begun; exec sleep 600")
        assert line_of(process.stdout) == b"begun"
        os.killpg(process.pid, number)
        rest_of(process)
        assert process.returncode == 128 + number


@every_way
def test_what_a_program_leaves_behind_ends_with_it(steps: Steps) -> None:
    os.mkfifo(steps.work / "started")
    leaves = "setsid sh -c 'echo > started; sleep 600' & sleep 600 & read line < started; exit 4"
    process = steps.start("sh", "-c", leaves)
    assert rest_of(process) == b""  # the end of the pipe that all of them hold
    assert process.returncode == 4


@pytest.mark.parametrize("steps", ["bubblewrap", "landlock"], indirect=True)
def test_what_is_never_the_same_process_for_long_ends_too(steps: Steps, able: dict[str, Any]) -> None:
    if steps.kind == "landlock" and able["landlockVersion"] < 6:
        pytest.skip("Landlock has no scopes before Linux 6.12")
    runs_away = """
import os
reading, writing = os.pipe()
if os.fork() == 0:
    for generation in range(1 << 40):
        if generation == 20:
            os.write(writing, b"x")
        os.setsid()
        if os.fork():
            os._exit(0)
os.read(reading, 1)
os._exit(4)
"""
    process = steps.start("python3", "-I", "-S", "-c", runs_away)
    assert rest_of(process) == b""
    assert process.returncode == 4


@every_way
def test_a_kill_ends_all_of_it(steps: Steps) -> None:
    process = steps.start("sh", "-c", "setsid sh -c 'echo begun; sleep 600' & sleep 600 & sleep 600")
    assert line_of(process.stdout) == b"begun"
    os.killpg(process.pid, signal.SIGKILL)
    assert rest_of(process) == b""
    assert process.returncode == -signal.SIGKILL


@every_way
def test_the_end_of_who_started_it_ends_all_of_it(steps: Steps) -> None:
    words = steps.command("sh", "-c", "setsid sh -c 'echo begun; sleep 600' & sleep 600 & sleep 600")
    starter = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({words!r}, start_new_session=True)"],
        stdout=subprocess.PIPE,
    )
    assert line_of(starter.stdout) == b"begun"
    starter.kill()
    assert rest_of(starter) == b""
