"""A program's output followed live to a pipe: as a terminal's against `script` piped on, as log events against jq."""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from installed import Installed, installed
from measure import Row, at_most, in_turns, report

WIDTH = 94
"""Bytes a line, its newline among them."""


STAMP = "2026-01-01T00:00:00.000Z INFO "
"""What begins a line of a log: its time and level are read."""

AS_EVENTS = '{event:"data",payload:{type:"log",message:.}}'
"""The least that makes events of lines, in jq."""


def numbered(lines: int, target: Path, begin: str = "") -> None:
    """Write lines that tell their own number, so that a missing or doubled one shows."""
    with target.open("w") as file:
        file.writelines(f"{begin}{number:0{WIDTH - 1 - len(begin)}d}\n" for number in range(lines))


def piped(argv: list[str], environment: dict[str, str]) -> float:
    """Run a program whose stdout is a pipe that somebody reads, and return the seconds until its end."""
    begun = time.perf_counter()
    program = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    subprocess.run(["cat"], stdin=program.stdout, stdout=subprocess.DEVNULL, check=True)
    if program.wait() != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with status {program.returncode}")
    return time.perf_counter() - begun


def missing(argv: list[str], environment: dict[str, str], lines: int) -> int:
    """Follow once more, and count the lines that are not exactly where they should be."""
    program = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert program.stdout is not None
    expected, rest = 0, ""
    for event in map(json.loads, program.stdout):
        if event["event"] != "data":
            continue
        *whole, rest = (rest + event["payload"]["content"]).split("\r\n")
        for line in whole:
            if line != f"{expected:0{WIDTH - 1}d}":
                return lines - expected
            expected += 1
    program.wait()
    return lines - expected


def measure(nexus: Installed, lines: int, rounds: int, folder: Path) -> list[Row]:
    source = folder / "lines.txt"
    numbered(lines, source)
    nexus.run("agent", "project", "create", "--name", "live", "--select")
    command = f"cat {shlex.quote(str(source))}"
    follow = [nexus.nexus, "agent", "terminal", "run", "--command", command, "--timeout", "600"]
    script = [shutil.which("script") or "script", "-qfc", command, "/dev/null"]
    taken = in_turns(
        {"script": lambda: piped(script, nexus.environment), "nexus": lambda: piped(follow, nexus.environment)},
        rounds,
        warm_up=1,
    )
    detail = f"{taken['nexus']:.2f} s / {taken['script']:.2f} s for {lines} lines of {WIDTH} bytes"
    return [
        at_most("terminal output followed / script", taken["nexus"] / taken["script"], 2.5, detail=detail),
        at_most("lines missing or out of place", missing(follow, nexus.environment, lines), 0, unit=""),
    ]


def logged(nexus: Installed, source: Path) -> list[str]:
    """Start a program that prints a log, and return the words that follow its events from the first to the end."""
    started = nexus.run("debug", "process", "start", "--grace", "0", "--", "cat", str(source))
    process_id = json.loads(started.stdout)["data"]["id"]
    return [nexus.nexus, "debug", "log", "tail", "--id", process_id, "--after", "0", "--follow", "--timeout", "600"]


def messages_missing(argv: list[str], environment: dict[str, str], lines: int) -> int:
    """Follow once more, and count the events that are not exactly the lines in their order, with level and time."""
    program = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert program.stdout is not None
    expected = 0
    for event in map(json.loads, program.stdout):
        payload = event["payload"]
        if payload.get("type") == "log":
            if payload["level"] != "info" or int(payload["message"].split()[-1]) != expected:
                return lines - expected
            expected += 1
    program.wait()
    return lines - expected


def measure_log(nexus: Installed, lines: int, rounds: int, folder: Path) -> list[Row]:
    source = folder / "log.txt"
    numbered(lines, source, STAMP)

    def followed() -> float:
        begun = time.perf_counter()
        argv = logged(nexus, source)
        return time.perf_counter() - begun + piped(argv, nexus.environment)

    jq = ["jq", "-cR", AS_EVENTS, str(source)]
    taken = in_turns({"jq": lambda: piped(jq, nexus.environment), "nexus": followed}, rounds, warm_up=1)
    detail = f"{taken['nexus']:.2f} s, from the program's start / {taken['jq']:.2f} s over the finished file"
    absent = messages_missing(logged(nexus, source), nexus.environment, lines)
    return [
        at_most("log events followed / jq", taken["nexus"] / taken["jq"], 1, detail=detail),
        at_most("log lines missing or out of place", absent, 0, unit=""),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, installed(options.python) as nexus:
        rows = measure(nexus, options.lines, options.rounds, Path(folder))
        rows += measure_log(nexus, options.lines, options.rounds, Path(folder))
    report("Live", rows)


if __name__ == "__main__":
    main()
