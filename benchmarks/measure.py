"""Times commands in turns, and prints the table that each benchmark ends with."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_QUIET = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]


def once(argv: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a program to its end and return the seconds it took. Raises `RuntimeError` when it fails."""
    begun = time.perf_counter()
    pid = os.posix_spawn(argv[0], list(argv), dict(environment), file_actions=_QUIET)
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - begun
    if status != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with status {os.waitstatus_to_exitcode(status)}")
    return seconds


def in_turns(runs: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 3) -> dict[str, float]:
    """Run each in turn, `rounds` times after the warm-up, and return the median seconds of each."""
    for _ in range(warm_up):
        for run in runs.values():
            run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(run())
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


@dataclass(frozen=True)
class Row:
    """What was measured, and whether it meets its bar."""

    what: str
    value: float
    unit: str
    bar: str
    met: bool
    detail: str = ""


def at_most(what: str, value: float, bar: float, *, unit: str = "x", detail: str = "", strictly: bool = False) -> Row:
    """Return a row whose value may not pass the bar."""
    met = value < bar if strictly else value <= bar
    return Row(what, value, unit, f"{'below' if strictly else 'at most'} {bar:g} {unit}".strip(), met, detail)


def at_least(what: str, value: float, bar: float, *, unit: str = "x", detail: str = "") -> Row:
    """Return a row whose value must reach the bar."""
    return Row(what, value, unit, f"at least {bar:g} {unit}".strip(), value >= bar, detail)


def report(title: str, rows: Sequence[Row]) -> None:
    """Print the table, and exit 1 when a bar is missed."""
    print(f"\n{title}  (Python {sys.version.split()[0]}, {os.cpu_count()} cores)\n")
    print("| what | measured | bar | met | detail |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {row.what} | {row.value:.2f} {row.unit} | {row.bar} | {'yes' if row.met else 'NO'} | {row.detail} |")
    sys.exit(0 if all(row.met for row in rows) else 1)
