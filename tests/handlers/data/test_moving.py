"""Pushing and pulling as commands: whole or not there, with what a person and a program see of it."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Shell

CONTENT = os.urandom(40 * 1024 * 1024)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def data_of(shell: Shell, line: str, status: int = 0) -> Any:
    done = shell.run(line)
    assert done.returncode == status, (line, done.stdout[-2000:], done.stderr[-2000:])
    envelope = json.loads(done.stdout)
    return envelope["errors"][0] if status else envelope["data"]


def events_of(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.fixture
def big(shell: Shell) -> Shell:
    """A caller with a file of several parts."""
    (shell.cwd / "big.bin").write_bytes(CONTENT)
    return shell


def test_every_command_of_the_seed_does_its_work(big: Shell) -> None:
    pushed = data_of(big, "nexus dataset push big.bin")
    assert pushed.pop("change") == "created"
    assert (pushed["size"], pushed["sha256"]) == (len(CONTENT), SHA256)
    assert [item["id"] for item in data_of(big, "nexus dataset ls")["items"]] == [pushed["id"]]
    assert data_of(big, f"nexus dataset info {pushed['id']}") == pushed
    made = data_of(big, "nexus data artifact push big.bin --name result --run-id run-1")
    assert [item["id"] for item in data_of(big, "nexus artifact ls --run-id run-1")["items"]] == [made["id"]]
    got = data_of(big, f"nexus artifact download {made['id']} out/", 2)
    assert got["code"] == "VALIDATION_ERROR"
    (big.cwd / "out").mkdir()
    got = data_of(big, f"umask 027; nexus artifact download {made['id']} out")
    assert (got["path"], got["resumed"]) == (str(big.cwd / "out" / "big.bin"), 0)
    assert (big.cwd / "out" / "big.bin").read_bytes() == CONTENT
    assert (big.cwd / "out" / "big.bin").stat().st_mode & 0o777 == 0o640
    assert data_of(big, "nexus data artifact verify result out/big.bin")["verified"]
    assert data_of(big, f"nexus dataset rm {pushed['id']} --yes")["cascade"] == {"blobs": 0}
    assert data_of(big, "nexus artifact rm result --yes")["cascade"] == {"blobs": 1}


def test_a_file_that_is_there_is_not_written_over(big: Shell) -> None:
    data_of(big, "nexus data dataset push big.bin")
    (big.cwd / "mine").write_bytes(b"mine")
    assert data_of(big, "nexus data dataset pull big.bin mine", 6)["code"] == "RESOURCE_CONFLICT"
    assert (big.cwd / "mine").read_bytes() == b"mine"
    data_of(big, "nexus data dataset pull big.bin mine --overwrite")
    assert (big.cwd / "mine").read_bytes() == CONTENT
    assert {path.name for path in big.cwd.iterdir()} == {"big.bin", "mine"}


def test_what_cannot_be_pushed_is_told(shell: Shell) -> None:
    assert data_of(shell, "nexus data dataset push nothing", 4)["code"] == "RESOURCE_NOT_FOUND"
    assert data_of(shell, "nexus data dataset push .", 2)["code"] == "VALIDATION_ERROR"
    assert data_of(shell, "mkfifo pipe; nexus data dataset push pipe", 2)["code"] == "VALIDATION_ERROR"
    assert data_of(shell, "nexus data dataset pull nothing", 4)["code"] == "RESOURCE_NOT_FOUND"


def test_a_program_sees_events_and_the_item_among_them(big: Shell) -> None:
    for line in ("nexus data dataset push big.bin --follow", "nexus data dataset pull big.bin copy --follow"):
        done = big.run(line)
        assert done.returncode == 0
        events = events_of(done.stdout)
        assert [event["event"] for event in events][:1] == ["metadata"]
        assert [event["event"] for event in events][-2:] == ["data", "close"]
        assert events[-2]["payload"]["sha256"] == SHA256
        assert events[-1]["payload"] == {"reason": "completed", "exitCode": 0, "lastSeq": events[-1]["seq"]}
        assert [event["seq"] for event in events[1:]] == list(range(1, len(events)))
        moved = [event["payload"]["transferred"] for event in events if event["event"] == "status"]
        assert moved == sorted(moved)
        assert moved[-1] == len(CONTENT)
    assert data_of(big, "nexus data dataset push big.bin --follow", 6)["code"] == "RESOURCE_CONFLICT"
    assert data_of(big, "nexus data dataset pull none --follow", 4)["code"] == "RESOURCE_NOT_FOUND"


def test_a_person_sees_a_bar_on_stderr_and_a_pipe_does_not(big: Shell) -> None:
    above, below = pty.openpty()
    with subprocess.Popen(
        ["bash", "-c", "nexus data dataset push big.bin"],
        cwd=big.cwd,
        env={**big.environment, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=below,
    ) as running:
        os.close(below)
        assert running.stdout is not None
        envelope = json.loads(running.stdout.read())
        assert envelope["status"] == "ok"
        assert running.wait(60) == 0
    seen = b""
    try:
        while chunk := os.read(above, 65536):
            seen += chunk
    except OSError:
        pass
    os.close(above)
    assert b"big.bin" in seen
    assert b"41.9" in seen
    assert big.run("nexus data dataset pull big.bin copy").stderr == b""


def test_a_pull_goes_on_where_it_was_cut(big: Shell) -> None:
    data_of(big, "nexus data dataset push big.bin")
    partial = big.cwd / f".copy.{SHA256[:16]}.part"
    partial.write_bytes(CONTENT[:10_000_001])
    assert data_of(big, "nexus data dataset pull big.bin copy")["resumed"] == 10_000_001
    assert (big.cwd / "copy").read_bytes() == CONTENT
    assert not partial.exists()
    # What an earlier try left may be wrong: then it is fetched from the beginning.
    partial.write_bytes(b"?" * 10_000_001)
    data_of(big, "nexus data dataset pull big.bin copy --overwrite")
    assert (big.cwd / "copy").read_bytes() == CONTENT


def test_an_interrupted_push_goes_on_where_it_was(big: Shell) -> None:
    # A reader that stops behind the second part's status.
    script = "nexus data dataset push big.bin --follow"
    with subprocess.Popen(
        ["bash", "-c", f"exec {script}"], cwd=big.cwd, env=big.environment, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        assert first["event"] == "metadata"
        running.send_signal(signal.SIGINT)
        rest = events_of(running.stdout.read())
        status = running.wait(60)
    if rest[-1]["payload"]["reason"] == "completed":
        pytest.skip("the push was faster than the interrupt")
    assert status in (130, -signal.SIGINT)
    assert [event["event"] for event in rest][-2:] == ["interrupt", "close"]
    assert data_of(big, "nexus data dataset list")["items"] == []
    assert data_of(big, "nexus data dataset push big.bin")["sha256"] == SHA256
