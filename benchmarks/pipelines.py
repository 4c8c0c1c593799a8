"""What a run of a pipeline costs over its steps: against the same programs in the same sandbox, one after the other.

A step of a chain costs what the coordinator does for it, beside its program: claimed, held, its lines kept, its end
written down and synced. Steps side by side share the cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from installed import Installed, installed
from measure import Row, at_most, report

CHAIN, WIDE, LINES = 60, 60, 200_000


def answered(nexus: Installed, *words: str) -> dict[str, Any]:
    done = nexus.run(*words)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout.decode()}")
    data: dict[str, Any] = json.loads(done.stdout)["data"]
    return data


def define(nexus: Installed, name: str, steps: dict[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"name": name, "steps": steps}, file)
        file.flush()
        answered(nexus, "pipeline", "definition", "create", "--from", file.name)


def followed(nexus: Installed, name: str, events: Path) -> float:
    """Run a pipeline, write its events to a file, and return the seconds until the command ended."""
    begun = time.perf_counter()
    with events.open("wb") as file:
        words = [nexus.nexus, "pipeline", "run", "start", name, "--follow"]
        subprocess.run(words, env=nexus.environment, stdout=file, check=True, timeout=600)
    seconds = time.perf_counter() - begun
    last = json.loads(events.read_bytes().splitlines()[-1])
    if last["payload"].get("reason") != "succeeded":
        raise RuntimeError(f"{name}: {last}")
    return seconds


def run(nexus: Installed, name: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return followed(nexus, name, Path(folder) / "events")


def lines(nexus: Installed, name: str) -> tuple[float, float]:
    """Run a pipeline whose step prints, and return its seconds and those that `jq` takes to read the same events."""
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events"
        ours = followed(nexus, name, events)
        told = events.read_bytes().count(b'"type":"log"')
        if told != LINES:
            raise RuntimeError(f"{told} lines of {LINES} were told")
        begun = time.perf_counter()
        subprocess.run(["jq", "-c", ".", str(events)], stdout=subprocess.DEVNULL, check=True, timeout=600)
        return ours, time.perf_counter() - begun


def bare(nexus: Installed, count: int) -> float:
    """Run a program in the sandbox of steps so many times, one after the other."""
    sandbox = answered(nexus, "doctor")
    kind = next(item["message"] for item in sandbox["items"] if item["check"] == "sandbox")
    confinement = subprocess.run(
        [nexus.python, "-c", "import nexus.confinement as c; print(c.__path__[0])"],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        work, tmp, file = (Path(folder) / name for name in ("work", "tmp", "walls"))
        work.mkdir()
        tmp.mkdir()
        told = {
            "kind": "bubblewrap" if "bubblewrap" in kind.split("(")[0] else "landlock",
            "argv": ["true"], "cwd": str(work), "read": [], "write": [str(work)], "tmp": str(tmp), "hidden": [],
            "network": False, "memoryMib": None, "files": 4096, "env": "/usr/bin/env",
        }  # fmt: skip
        file.write_text(json.dumps(told))
        words = [nexus.python, "-I", "-S", "-B", os.path.join(confinement, "__main__.py"), str(file)]
        begun = time.perf_counter()
        for _ in range(count):
            subprocess.run(words, env={"PATH": "/usr/bin:/bin"}, check=True)
        return time.perf_counter() - begun


def chain(count: int) -> dict[str, Any]:
    return {
        f"s{number}": {"run": ["true"], **({"needs": [f"s{number - 1}"]} if number else {})} for number in range(count)
    }


def measured(nexus: Installed, rounds: int) -> list[Row]:
    define(nexus, "chain", chain(CHAIN))
    define(nexus, "wide", {f"s{number}": {"run": ["true"]} for number in range(WIDE)})
    define(nexus, "lines", {"say": {"run": ["seq", str(LINES)]}})
    define(nexus, "one", {"say": {"run": ["true"]}})
    run(nexus, "one")
    taken: dict[str, list[float]] = {"bare": [], "chain": [], "wide": [], "lines": [], "jq": [], "one": []}
    for _ in range(rounds):
        taken["bare"].append(bare(nexus, CHAIN) / CHAIN)
        taken["chain"].append(run(nexus, "chain") / CHAIN)
        taken["wide"].append(run(nexus, "wide") / WIDE)
        taken["one"].append(run(nexus, "one"))
        for name, seconds in zip(("lines", "jq"), lines(nexus, "lines"), strict=True):
            taken[name].append(seconds)
    best = {name: min(seconds) for name, seconds in taken.items()}
    step = best["bare"]
    return [
        at_most("a step of a chain / alone", best["chain"] / step, 2, detail=_ms(best["chain"], step)),
        at_most("a step of many at once / alone", best["wide"] / step, 1.5, detail=_ms(best["wide"], step)),
        at_most("a run of one step / its step alone", best["one"] / step, 4, detail=_ms(best["one"], step)),
        at_most(f"{LINES} lines of a step / jq", best["lines"] / best["jq"], 1, detail=_ms(best["lines"], best["jq"])),
    ]


def _ms(ours: float, alone: float) -> str:
    return f"{ours * 1000:.1f} / {alone * 1000:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        report("Pipelines", measured(nexus, options.rounds))


if __name__ == "__main__":
    main()
