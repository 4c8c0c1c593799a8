"""A key until its echo, alone and beside four floods; ^C under a flood until the prompt; SIGINT until a stream ends."""

import argparse
import os
import pty
import select
import signal
import statistics
import subprocess
import sys
import time

from installed import Installed, installed
from measure import Row, at_most, report

FLOOD = "while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done"
PROMPT = b"READY> "


class Attached:
    """`nexus agent terminal attach` on a terminal of its own, as a person has it."""

    def __init__(self, nexus: Installed, session_id: str) -> None:
        self.master, slave = pty.openpty()
        argv = [nexus.nexus, "agent", "terminal", "attach", "--session-id", session_id]
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=nexus.environment, start_new_session=True
        )
        os.close(slave)

    def read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self.master], [], [], seconds)
        return os.read(self.master, 1 << 16) if ready else b""

    def until(self, wanted: bytes, seconds: float = 30) -> float:
        """Read until something is shown; return the seconds that it took."""
        begun = time.perf_counter()
        seen = b""
        while wanted not in seen:
            if time.perf_counter() - begun > seconds:
                raise TimeoutError(f"{wanted!r} was not shown within {seconds} s: {seen[-200:]!r}")
            seen = (seen + self.read(1))[-(1 << 17) :]
        return time.perf_counter() - begun

    def key(self, key: bytes) -> float:
        """Press a key and return the seconds until something of it is shown."""
        begun = time.perf_counter()
        os.write(self.master, key)
        while not self.read(5):
            if time.perf_counter() - begun > 30:
                raise TimeoutError("a key had no echo")
        return time.perf_counter() - begun

    def close(self) -> None:
        os.write(self.master, b"\x1c")
        self.process.wait(timeout=20)
        os.close(self.master)


def opened(nexus: Installed) -> str:
    """Open a shell whose prompt is known, and return its session."""
    done = nexus.run("agent", "terminal", "open", "--shell", "/bin/sh", "--query", "sessionId", PS1="READY> ")
    return done.stdout.split(b'"data":"', 1)[1].split(b'"', 1)[0].decode()


def echoes(nexus: Installed, presses: int) -> tuple[float, str]:
    """Return the 99th percentile of key to echo in milliseconds, and the median in words."""
    terminal = Attached(nexus, opened(nexus))
    os.write(terminal.master, b"\r")
    terminal.until(PROMPT)
    while terminal.read(0.5):
        pass
    taken = []
    for number in range(presses):
        taken.append(terminal.key(b"a") * 1000)
        if number % 60 == 59:
            os.write(terminal.master, b"\x15")
            while terminal.read(0.2):
                pass
        # A person's pace, so that presses do not queue.
        time.sleep(0.01)
    terminal.close()
    return statistics.quantiles(taken, n=100)[98], f"median {statistics.median(taken):.1f} ms"


def interrupt(nexus: Installed, times: int) -> float:
    """Return the slowest of some ^C under a flood until the prompt, in milliseconds."""
    terminal = Attached(nexus, opened(nexus))
    os.write(terminal.master, b"\r")
    terminal.until(PROMPT)
    slowest = 0.0
    for _ in range(times):
        os.write(terminal.master, f"{FLOOD}\r".encode())
        deadline = time.perf_counter() + 2
        while time.perf_counter() < deadline:
            terminal.read(0.1)
        begun = time.perf_counter()
        os.write(terminal.master, b"\x03")
        terminal.until(PROMPT)
        slowest = max(slowest, (time.perf_counter() - begun) * 1000)
    terminal.close()
    return slowest


def ended(nexus: Installed, times: int) -> float:
    """Return the slowest of some ends of a stream's reader behind a SIGINT, in milliseconds."""
    slowest = 0.0
    for _ in range(times):
        argv = [nexus.nexus, "agent", "terminal", "run", "--command", "echo up; sleep 60"]
        reader = subprocess.Popen(argv, env=nexus.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert reader.stdout is not None
        while b'"up' not in reader.stdout.readline():
            pass
        begun = time.perf_counter()
        reader.send_signal(signal.SIGINT)
        last = reader.stdout.read().splitlines()[-2:]
        status = reader.wait(timeout=30)
        slowest = max(slowest, (time.perf_counter() - begun) * 1000)
        if status != 130 or b'"interrupt"' not in last[0] or b'"close"' not in last[1]:
            raise RuntimeError(f"status {status}, {last}")
    return slowest


def measure(nexus: Installed, presses: int) -> list[Row]:
    nexus.run("agent", "project", "create", "--name", "keys", "--select")
    alone, detail = echoes(nexus, presses)
    rows = [at_most("key to echo alone, p99", alone, 5, unit="ms", strictly=True, detail=detail)]
    rows.append(
        at_most("^C under a flood until the prompt, slowest", interrupt(nexus, 5), 300, unit="ms", strictly=True)
    )
    rows.append(at_most("SIGINT until the reader's end, slowest", ended(nexus, 20), 200, unit="ms", strictly=True))
    argv = [nexus.nexus, "agent", "terminal", "run", "--command", FLOOD]
    floods = [
        subprocess.Popen(argv, env=nexus.environment, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for _ in range(4)
    ]
    try:
        time.sleep(2)
        beside, detail = echoes(nexus, presses)
    finally:
        for flood in floods:
            flood.terminate()
            flood.wait(timeout=30)
    rows.append(at_most("key to echo beside four floods, p99", beside, 20, unit="ms", strictly=True, detail=detail))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--presses", type=int, default=300)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        rows = measure(nexus, options.presses)
    report("Keys", rows)


if __name__ == "__main__":
    main()
