"""How long a completion takes: names, flags and names of projects, against a bare interpreter."""

import argparse
import sys

from installed import installed
from measure import at_most, in_turns, once, report

LINES = {
    "a command": "nexus agent proj",
    "a flag": "nexus agent project list --inc",
    "a project": "nexus agent project view --name ben",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        nexus.run("agent", "project", "create", "--name", "benchmark")
        argvs = {"pass": [nexus.python, "-c", "pass"]}
        argvs |= {what: [nexus.nexus, "completion", "bash", "--line", line] for what, line in LINES.items()}
        runs = {name: lambda argv=argv: once(argv, nexus.environment) for name, argv in argvs.items()}
        taken = in_turns(runs, options.rounds)
    rows = [
        at_most(
            f"{what} / python -c pass",
            taken[what] / taken["pass"],
            1.5,
            detail=f"{taken[what] * 1000:.1f} / {taken['pass'] * 1000:.1f} ms",
        )
        for what in LINES
    ]
    report("Completion", rows)


if __name__ == "__main__":
    main()
