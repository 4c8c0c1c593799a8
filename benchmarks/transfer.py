"""Push and pull of a large file to the local store, against `cp` and `sha256sum` of it one after the other.

Client and kernel of the local profile are one process, the resident: its memory is both. The launcher's is told too.
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


def measure(nexus: Installed, folder: Path, size: int, rounds: int) -> list[Row]:
    source, copy, pulled = folder / "source", folder / "copy", folder / "pulled"
    made(source, size)
    timed([nexus.nexus, "data", "dataset", "list"], nexus.environment)
    pid = json.loads(nexus.run("debug", "kernel", "status").stdout)["data"]["pid"]
    plain: list[float] = []
    pushes: list[float] = []
    pulls: list[float] = []
    idle, peak = Memory(pid).before, 0.0
    for _ in range(rounds):
        plain.append(timed(["cp", str(source), str(copy)]) + timed(["sha256sum", str(source)]))
        copy.unlink()
        with Memory(pid) as memory:
            words = [nexus.nexus, "data", "dataset", "push", str(source), "--name", "big"]
            pushes.append(timed(words, nexus.environment))
            pulls.append(timed([nexus.nexus, "data", "dataset", "pull", "big", str(pulled)], nexus.environment))
        peak = max(peak, memory.peak)
        pulled.unlink()
        timed([nexus.nexus, "data", "dataset", "delete", "big", "--yes"], nexus.environment)
    told = f"{size / 1e9:g} GB; cp and sha256sum {min(plain):.1f} s"
    return [
        at_most("push", min(pushes) / min(plain), 1.5, detail=f"{min(pushes):.1f} s; {told}"),
        at_most("pull", min(pulls) / min(plain), 1.5, detail=f"{min(pulls):.1f} s; {told}"),
        at_most("client and kernel together, over idle", peak - idle, 80, unit="MB", detail=f"idle {idle:.0f} MB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--size", type=int, default=SIZE, help="bytes")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        folder = Path(nexus.environment["NEXUS_HOME"]).parent
        rows = measure(nexus, folder, options.size, options.rounds)
    report("Transfer", rows)


if __name__ == "__main__":
    main()
