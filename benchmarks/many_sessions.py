"""200 sessions live at once: the slowest against one alone with the same load."""

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from installed import Installed, installed
from measure import Row, at_most, report

LOAD = "for i in $(seq 1 {lines}); do echo line-$i; sleep 0.1; done"
"""A line every tenth of a second: what a person reads, or a build prints."""


def one(nexus: Installed, lines: int) -> tuple[float, int]:
    """Run the load in a terminal of its own and follow it; return the seconds and how many lines are missing."""
    begun = time.perf_counter()
    argv = [nexus.nexus, "agent", "terminal", "run", "--command", LOAD.format(lines=lines), "--timeout", "300"]
    done = subprocess.run(
        argv, env=nexus.environment, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=400
    )
    printed = sum(f"line-{number}\\r".encode() in done.stdout for number in range(1, lines + 1))
    if printed < lines:
        print(done.returncode, done.stdout[-600:], done.stderr[-600:], file=sys.stderr)
    return time.perf_counter() - begun, lines - printed


def measure(nexus: Installed, sessions: int, lines: int) -> list[Row]:
    nexus.run("agent", "project", "create", "--name", "many", "--select")
    alone, _ = one(nexus, lines)
    with ThreadPoolExecutor(sessions) as pool:
        together = list(pool.map(lambda _: one(nexus, lines), range(sessions)))
    slowest = max(seconds for seconds, _ in together)
    detail = f"{slowest:.1f} s / {alone:.1f} s"
    return [
        at_most(f"the slowest of {sessions} / one alone", slowest / alone, 2, detail=detail),
        at_most("lines missing", sum(missing for _, missing in together), 0, unit=""),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--lines", type=int, default=150)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        rows = measure(nexus, options.sessions, options.lines)
    report("Many sessions", rows)


if __name__ == "__main__":
    main()
