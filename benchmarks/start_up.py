"""How long a command takes: warm, first and one-shot, against a bare interpreter and against gh and kubectl."""

import argparse
import shutil
import sys

from installed import Installed, installed
from measure import Row, at_most, in_turns, once, report

IMPORTS = "import click, pydantic, httpx, websockets; pydantic.BaseModel; websockets.connect"
OTHERS = {"gh": ["gh", "--version"], "kubectl": ["kubectl", "version", "--client"]}


def _ms(taken: dict[str, float], *names: str) -> str:
    return " / ".join(f"{taken[name] * 1000:.1f} ms" for name in names)


def warm(nexus: Installed, rounds: int) -> list[Row]:
    """Measure a command that a running resident answers."""
    listing = [nexus.nexus, "agent", "project", "list"]
    argvs = {"pass": [nexus.python, "-c", "pass"], "list": listing}
    for name, words in OTHERS.items():
        if path := shutil.which(name):
            argvs[name] = [path, *words[1:]]
        else:
            print(f"{name} is not installed: not measured", file=sys.stderr)
    taken = in_turns({name: lambda argv=argv: once(argv, nexus.environment) for name, argv in argvs.items()}, rounds)
    rows = [
        at_most(
            "warm project list / python -c pass", taken["list"] / taken["pass"], 1.3, detail=_ms(taken, "list", "pass")
        )
    ]
    for name in OTHERS.keys() & taken.keys():
        what, ratio = f"warm project list / {name}", taken["list"] / taken[name]
        rows.append(at_most(what, ratio, 1, strictly=True, detail=_ms(taken, "list", name)))
    return rows


def first(nexus: Installed, rounds: int) -> list[Row]:
    """Measure a command that has to start the resident."""

    def first_command() -> float:
        nexus.stop()
        return once([nexus.nexus, "agent", "project", "list"], nexus.environment)

    runs = {"imports": lambda: once([nexus.python, "-c", IMPORTS], nexus.environment), "first": first_command}
    taken = in_turns(runs, rounds, warm_up=1)
    ratio = taken["first"] / taken["imports"]
    return [at_most("first command / imports", ratio, 3.5, detail=_ms(taken, "first", "imports"))]


def one_shot(nexus: Installed, rounds: int) -> list[Row]:
    """Measure commands without a resident."""
    nexus.stop()
    alone = nexus.environment | {"NEXUS_RESIDENT": "0"}
    argvs = {
        "pass": [nexus.python, "-c", "pass"],
        "version": [nexus.nexus, "version"],
        "project list": [nexus.nexus, "agent", "project", "list"],
    }
    taken = in_turns({name: lambda argv=argv: once(argv, alone) for name, argv in argvs.items()}, rounds)
    return [
        at_most(f"one-shot {name} / python -c pass", taken[name] / taken["pass"], bar, detail=_ms(taken, name, "pass"))
        for name, bar in (("version", 15), ("project list", 45))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        nexus.run("agent", "project", "create", "--name", "benchmark")
        rows = warm(nexus, options.rounds)
        rows += first(nexus, max(5, options.rounds // 4))
        rows += one_shot(nexus, max(5, options.rounds // 2))
    report("Start-up", rows)


if __name__ == "__main__":
    main()
