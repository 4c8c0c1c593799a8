"""A follower whose resident is killed goes on by itself, and what it printed is whole."""

import json
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

SLOWLY = "for i in $(seq 1 {lines}); do echo line-$i; [ $((i % 200)) = 0 ] && sleep {pause}; done; true"


def project(home: Any) -> None:
    assert home.run("agent", "project", "create", "--name", "demo", "--select").status == 0


def outputs(events: list[dict[str, Any]]) -> str:
    return "".join(event["payload"]["content"] for event in events if event["event"] == "data")


def whole(printed: bytes) -> list[dict[str, Any]]:
    """Hold the stream's own promises: metadata first, seq without a hole, one close last."""
    assert printed.startswith(b'{"event"'), printed[:1000]
    assert printed.endswith(b"\n")
    events = [json.loads(line) for line in printed.splitlines()]
    assert [event["event"] for event in events].count("metadata") >= 1
    assert events[0]["event"] == "metadata"
    assert [event["event"] for event in events].index("close") == len(events) - 1
    numbers = [event["seq"] for event in events if event.get("seq") is not None]
    assert numbers == list(range(1, len(numbers) + 1))
    return events


class Printed:
    """What a command prints, read as it comes: a reader that stops would hold up whoever comes after a kill."""

    def __init__(self, stdout: int) -> None:
        self._read = bytearray()
        self._grown = threading.Condition()
        self._stdout = stdout
        self._reading = threading.Thread(target=self._collect)
        self._reading.start()

    def _collect(self) -> None:
        while data := os.read(self._stdout, 1 << 16):
            with self._grown:
                self._read += data
                self._grown.notify_all()

    def until_more(self, size: int) -> None:
        """Wait until so many bytes more were printed."""
        with self._grown:
            wanted = len(self._read) + size
            assert self._grown.wait_for(lambda: len(self._read) >= wanted, 60), bytes(self._read[-1000:])

    def to_end(self) -> bytes:
        self._reading.join(600)
        return bytes(self._read)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("kills", "lines", "pause"),
    [(3, 60_000, 0.02), pytest.param(100, 700_000, 0.1, marks=pytest.mark.soak)],
    ids=["short", "soak"],
)
def test_a_run_is_whole_over_kills_of_its_resident(home: Any, kills: int, lines: int, pause: float) -> None:
    project(home)
    opening = ("agent", "terminal", "open", "--shell", "/bin/bash", "--idle-timeout", "0")
    beside = [home.run(*opening).envelope["data"]["sessionId"] for _ in "abc"]
    for number, each in enumerate(beside):
        assert home.run("agent", "terminal", "send", f"KEPT={number}", "--enter", "--session-id", each).status == 0
    running = home.start(
        "agent", "terminal", "run", "--command", SLOWLY.format(lines=lines, pause=pause), "--timeout", "800"
    )
    printed = Printed(running.stdout.fileno())
    chance = random.Random(kills)
    for _ in range(kills):
        # After some output of each resident: kill it in the middle.
        printed.until_more(chance.randint(1, 100_000))
        home.kill()
    events = whole(printed.to_end())
    assert outputs(events).split() == [f"line-{number}" for number in range(1, lines + 1)]
    assert (events[-1]["payload"]["exitCode"], running.wait(60)) == (0, 0)
    for number, each in enumerate(beside):
        alive = home.run("agent", "terminal", "run", "--collect", "--command", "echo kept=$KEPT", "--session-id", each)
        assert f"kept={number}\r\n" in outputs(alive.envelope["data"]["events"])


@pytest.mark.timeout(300)
def test_a_terminal_lives_on_when_its_resident_is_killed(home: Any) -> None:
    project(home)
    opened = home.run("agent", "terminal", "open", "--shell", "/bin/sh").envelope["data"]
    chosen = ("--session-id", opened["sessionId"])
    assert home.run("agent", "terminal", "send", "echo $((40+1))-before; KEPT=kept", "--enter", *chosen).status == 0
    home.kill()
    assert home.run("agent", "terminal", "send", "echo $KEPT-after; exit 3", "--enter", *chosen).status == 0
    followed = home.start("session", "live", "events", opened["sessionId"], "--after", "0")
    stdout, _ = followed.communicate(timeout=60)
    events = whole(stdout)
    assert "41-before" in outputs(events)
    assert "kept-after" in outputs(events)
    assert events[-1]["payload"]["exitCode"] == 3


def test_an_interrupt_ends_a_stream_with_its_own_end(home: Any) -> None:
    project(home)
    running = home.start("agent", "terminal", "run", "--command", "echo ready; sleep 60")
    first = b""
    while b"ready" not in first:
        first += os.read(running.stdout.fileno(), 1 << 16)
    running.send_signal(signal.SIGINT)
    stdout, _ = running.communicate(timeout=20)
    events = [json.loads(line) for line in (first + stdout).splitlines()]
    assert [event["event"] for event in events[-2:]] == ["interrupt", "close"]
    assert running.returncode == 130


def test_a_reader_that_goes_ends_the_stream(home: Any, tmp_path: Path) -> None:
    project(home)
    done = home.shell('"$NEXUS" agent terminal run --command "seq 1 100000" | head -n 3', cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.timeout(300)
def test_a_run_goes_on_over_restarts_of_its_resident(home: Any) -> None:
    project(home)
    running = home.start("agent", "terminal", "run", "--command", SLOWLY.format(lines=30_000, pause=0.02))
    printed = bytearray()
    for _ in range(2):
        more = os.read(running.stdout.fileno(), 1 << 16)
        assert more
        printed += more
        assert home.run("debug", "kernel", "restart").status == 0
    rest, complaints = running.communicate(timeout=200)
    events = whole(bytes(printed + rest))
    assert outputs(events).split() == [f"line-{number}" for number in range(1, 30_001)], complaints
    assert (events[-1]["payload"]["exitCode"], running.returncode) == (0, 0)


@pytest.mark.timeout(120)
def test_what_is_kept_can_be_set_and_what_went_is_told_as_a_gap(home: Any) -> None:
    project(home)
    printed = home.run("agent", "terminal", "run", "--command", "seq 1 400000").stdout
    session_id = json.loads(printed.splitlines()[0])["sessionId"]
    everything = ("session", "live", "events", session_id, "--after", "0", "--limit", "1")
    assert home.run(*everything).status == 0
    assert (
        home.run("settings", "config", "set", "--key", "session.keep_session_bytes", "--value", "1048576").status == 0
    )
    assert home.run("debug", "kernel", "restart").status == 0
    deadline = time.monotonic() + 60
    # One that joined just before its lines went is told by an error in the stream; the next one is told at once.
    while not (found := home.run(*everything)).stdout.startswith(b'{"status"') and time.monotonic() < deadline:
        time.sleep(0.1)
    error = found.envelope["errors"][0]
    assert error["code"] == "SESSION_GAP"
    assert error["details"]["oldest"] > 1
