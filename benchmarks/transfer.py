"""Push and pull of a large file to the local store, against `cp` and `sha256sum` of it one after the other.

Client and kernel of the local profile are one process, the resident. So the memory of each is measured where they are
two: the same push and pull to `nexus serve`.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

from installed import Installed, installed
from measure import Row, at_most, report
from serving import served

SIZE = 2_000_000_000
BLOCK = 1_000_000


class Memory:
    """The highest resident set of a process while a block runs, in MB, looked at a hundred times a second."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self.before = self.now()
        self.peak = self.before

    def now(self) -> float:
        line = next(line for line in self._status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            self.peak = max(self.peak, self.now())

    def __enter__(self) -> Self:
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watching.join()


def made(path: Path, size: int) -> None:
    """Make a file of random bytes."""
    with open("/dev/urandom", "rb") as source, path.open("wb") as file:
        for _ in range(size // BLOCK):
            file.write(source.read(BLOCK))


def timed(words: list[str], environment: dict[str, str] | None = None) -> float:
    begun = time.perf_counter()
    subprocess.run(words, env=environment, check=True, capture_output=True, timeout=600)
    return time.perf_counter() - begun


def moved(nexus: Installed, folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Push and pull the file, and delete what was made; return the seconds of either."""
    pulled = folder / "pulled"
    words = [nexus.nexus, "data", "dataset", "push", str(folder / "source"), "--name", "big"]
    push = timed(words, environment)
    pull = timed([nexus.nexus, "data", "dataset", "pull", "big", str(pulled)], environment)
    pulled.unlink()
    timed([nexus.nexus, "data", "dataset", "delete", "big", "--yes"], environment)
    return push, pull


def speed(nexus: Installed, folder: Path, size: int, rounds: int) -> list[Row]:
    source, copy = folder / "source", folder / "copy"
    timed([nexus.nexus, "data", "dataset", "list"], nexus.environment)
    plain: list[float] = []
    transfers: list[tuple[float, float]] = []
    for _ in range(rounds):
        plain.append(timed(["cp", str(source), str(copy)]) + timed(["sha256sum", str(source)]))
        copy.unlink()
        transfers.append(moved(nexus, folder, nexus.environment))
    push, pull = (min(each) for each in zip(*transfers, strict=True))
    told = f"{size / 1e9:g} GB; cp and sha256sum {min(plain):.1f} s"
    return [
        at_most("push", push / min(plain), 1.5, detail=f"{push:.1f} s; {told}"),
        at_most("pull", pull / min(plain), 1.5, detail=f"{pull:.1f} s; {told}"),
    ]


def memory(nexus: Installed, folder: Path) -> list[Row]:
    """Measure client and kernel each for itself; idle is behind a first list of what there is."""
    with served(nexus, NEXUS_HOME=str(folder / "server")) as server:
        key = json.loads(server.ask("POST", "/api/auth/keys", {"name": "benchmark"}))["key"]
        away = nexus.environment | {"NEXUS_SERVER_URL": f"http://127.0.0.1:{server.port}", "NEXUS_TOKEN": key}
        timed([nexus.nexus, "data", "dataset", "list"], away)
        client = json.loads(nexus.run("debug", "kernel", "status").stdout)["data"]["pid"]
        with Memory(client) as ours, Memory(server.process.pid) as theirs:
            moved(nexus, folder, away)
    return [
        at_most(
            f"memory of the {what}, over idle",
            each.peak - each.before,
            80,
            unit="MB",
            detail=f"idle {each.before:.0f} MB",
        )
        for what, each in (("client", ours), ("kernel", theirs))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--size", type=int, default=SIZE, help="bytes")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        folder = Path(nexus.environment["NEXUS_HOME"]).parent
        made(folder / "source", options.size)
        rows = [*speed(nexus, folder, options.size, options.rounds), *memory(nexus, folder)]
    report("Transfer", rows)


if __name__ == "__main__":
    main()
