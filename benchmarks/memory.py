"""Peak resident set of the launcher and of an idle resident."""

import argparse
import json
import subprocess
import sys

from installed import Installed, installed
from measure import Row, at_most, report

MEASURED = """
mkfifo "$NEXUS_HOME/in"
"$1" agent project list --input - <"$NEXUS_HOME/in" >/dev/null &
exec 3>"$NEXUS_HOME/in"
sleep 1
while read -r name size unit; do [ "$name" = VmHWM: ] && echo "$size"; done <"/proc/$!/status"
echo '{}' >&3
exec 3>&-
wait "$!"
rm "$NEXUS_HOME/in"
"""
"""Holds a command at its stdin, and reads the launcher's high-water mark from /proc: Linux only."""


def launcher_peak(nexus: Installed) -> float:
    """Return the launcher's peak resident set in MB.

    What wait4 counts for a child begins with its parent's own peak, so a shell stands between: small, and a fork.
    """
    small = subprocess.run(
        ["/bin/sh", "-c", MEASURED, "sh", nexus.nexus],
        env=nexus.environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return int(small.stdout.split()[-1]) / 1024


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
