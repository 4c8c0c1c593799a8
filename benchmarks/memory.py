"""Peak resident set of the launcher and of an idle resident."""

import argparse
import json
import os
import sys

from installed import Installed, installed
from measure import Row, at_most, report


def launcher_peak(nexus: Installed) -> float:
    """Return the launcher's peak resident set in MB: what the kernel counted for the child, once it has ended."""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(nexus.nexus, [nexus.nexus, "agent", "project", "list"], nexus.environment, file_actions=quiet)
    _, _, usage = os.wait4(pid, 0)
    return usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)


def resident_peak(nexus: Installed) -> float:
    """Return the resident's peak resident set in MB, as it says itself."""
    status = json.loads(nexus.run("debug", "kernel", "metrics").stdout)
    return float(status["data"]["peakMemoryBytes"]) / 1024 / 1024


def measure(nexus: Installed) -> list[Row]:
    for _ in range(50):
        nexus.run("agent", "project", "list")
    return [
        at_most("launcher, peak", launcher_peak(nexus), 14, unit="MB"),
        at_most("idle resident after 50 commands, peak", resident_peak(nexus), 120, unit="MB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        rows = measure(nexus)
    report("Memory", rows)


if __name__ == "__main__":
    main()
