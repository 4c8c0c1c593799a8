"""Replay of 1,000,000 stored log events of 200 bytes to a pipe, against jq and cat on the same lines."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from installed import Installed, installed
from measure import Row, at_least, at_most, report

SESSION = "ses_replay"

STORE = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from nexus import places
from nexus.kernel.sessions import rows
from nexus.kernel.sessions.log import EventLog
from nexus.kernel.sessions.output import SessionOutput
from nexus.kernel.sessions.record import Record
from nexus.schemas.session import Session
from nexus.sessions import lines
import os

async def main(session_id, count, size):
    folder = Path(places.find(os.environ.get, os.getcwd()).data)
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    log = EventLog(folder / "sessions.db")
    await log.open()
    now = datetime.now(UTC)
    session = Session(session_id=session_id, type="debug-stream", created_at=now, transport="local")
    record = Record(session=session)
    await log.run(lambda connection: rows.insert(connection, record, None))
    empty = len(lines.LineWriter(session_id, seq=count).write("data", [lines.log("", "info", "bench")], 1))
    payload = lines.log("x" * (size - empty + 1), "info", "bench")
    for start in range(0, count, 500):
        await log.append(session_id, [payload] * min(500, count - start))
    await SessionOutput(log, record, 1, lambda: None).end("exited", 0)
    await log.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def store(nexus: Installed, count: int, size: int) -> None:
    """Fill a session's log before the resident starts."""
    nexus.stop()
    command = [nexus.python, "-c", STORE, SESSION, str(count), str(size)]
    subprocess.run(command, env=nexus.environment, check=True)


def piped(command: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """Run a command into a pipe whose reader counts bytes; return the seconds and the bytes."""
    begun = time.perf_counter()
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer,
        subprocess.Popen(["wc", "-c"], stdin=writer.stdout, stdout=subprocess.PIPE) as reader,
    ):
        if writer.stdout is None or reader.stdout is None:
            raise RuntimeError("no pipe")
        writer.stdout.close()
        count = int(reader.stdout.read())
    if writer.returncode != 0:
        raise RuntimeError(f"{command} ended with {writer.returncode}")
    return time.perf_counter() - begun, count


def measure(nexus: Installed, count: int, size: int, rounds: int) -> list[Row]:
    store(nexus, count, size)
    replay = [nexus.nexus, "session", "live", "events", SESSION]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lines"
        with file.open("wb") as output:
            subprocess.run(replay, env=nexus.environment, stdout=output, check=True)
        lines = file.read_bytes().splitlines()
        if len(lines) != count + 2:
            raise RuntimeError(f"{len(lines)} lines for {count} events")
        taken: dict[str, float] = {}
        commands = {"nexus": replay, "cat": ["cat", str(file)], "jq": ["jq", "-c", ".", str(file)]}
        for turn in range(rounds):
            for name, command in commands.items():
                if name == "jq" and turn > 1:
                    continue
                seconds, _ = piped(command, nexus.environment)
                taken[name] = min(seconds, taken.get(name, seconds))
    nexus_seconds, detail = taken["nexus"], ", ".join(f"{name} {seconds:.2f} s" for name, seconds in taken.items())
    return [
        at_least("faster than jq -c .", taken["jq"] / nexus_seconds, 12, detail=detail),
        at_most("slower than cat", nexus_seconds / taken["cat"], 4, detail=f"{count} lines of {size} bytes"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        rows = measure(nexus, options.count, options.size, options.rounds)
    report("Replay", rows)


if __name__ == "__main__":
    main()
