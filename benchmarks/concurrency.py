"""1,000 commands at once from 50 processes: all answered, none wrong."""

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from installed import Installed, installed
from measure import Row, at_most, report


def caller(nexus: Installed, number: int, commands: int) -> int:
    """Create and view projects in a context of its own; return how many answers were missing or wrong."""
    wrong = 0
    for turn in range(commands // 2):
        name = f"p-{number}-{turn}"
        made = nexus.run("agent", "project", "create", "--name", name)
        seen = nexus.run("agent", "project", "view", "--name", name, NEXUS_CONTEXT=f"c{number}")
        wrong += (not _is_about(made, name)) + (not _is_about(seen, name))
    return wrong


def _is_about(answer: subprocess.CompletedProcess[bytes], name: str) -> bool:
    try:
        return bool(json.loads(answer.stdout)["data"]["name"] == name)
    except (ValueError, KeyError, TypeError):
        print(answer, file=sys.stderr)
        return False


def measure(nexus: Installed, processes: int, commands: int) -> list[Row]:
    begun = time.perf_counter()
    with ThreadPoolExecutor(processes) as pool:
        wrong = sum(pool.map(lambda number: caller(nexus, number, commands // processes), range(processes)))
    seconds = time.perf_counter() - begun
    detail = f"{commands} commands, {processes} at a time, {commands / seconds:.0f} a second"
    return [at_most("answers missing or wrong", wrong, 0, unit="", detail=detail)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--processes", type=int, default=50)
    parser.add_argument("--commands", type=int, default=1000)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        rows = measure(nexus, options.processes, options.commands)
    report("Concurrency", rows)


if __name__ == "__main__":
    main()
