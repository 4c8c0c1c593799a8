"""Steps that are run by the program itself, from a file of the test's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from nexus.resident.local import CONFINEMENT

COMMAND = (sys.executable, "-I", "-S", "-B", str(CONFINEMENT))
SECONDS = 100.0
WAYS = ("bubblewrap", "bubblewrap without env", "landlock", "none")


@pytest.fixture(scope="session")
def able() -> dict[str, Any]:
    """What the machine can."""
    if sys.platform != "linux":
        pytest.skip("sandboxes are made by Linux")
    told: dict[str, Any] = json.loads(subprocess.run([*COMMAND, "--probe"], capture_output=True, check=True).stdout)
    return told


class Steps:
    """Runs steps of one kind, and ends what is left of them."""

    def __init__(self, folder: Path, way: str, env: str | None) -> None:
        self.folder = folder
        self.kind = way.partition(" ")[0]
        self._env = None if "without" in way else env
        self._started: list[subprocess.Popen[bytes]] = []
        for name in ("work", "tmp"):
            (folder / name).mkdir()

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def command(self, *argv: str, **told: Any) -> list[str]:
        """Write the file and return the command; `told` has other words of the file."""
        spec = {
            "kind": self.kind,
            "argv": argv,
            "cwd": str(self.work),
            "read": [],
            "write": [str(self.work)],
            "tmp": str(self.folder / "tmp"),
            "hidden": [],
            "network": False,
            "memoryMib": None,
            "files": 256,
            "env": self._env,
        } | told
        file = self.folder / "spec.json"
        file.write_text(json.dumps(spec))
        return [*COMMAND, str(file)]

    def start(self, *argv: str, **told: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self.command(*argv, **told),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": f"/usr/bin:/bin:{sys.base_prefix}/bin"},
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(self, *argv: str, **told: Any) -> tuple[int, str, str]:
        """Return its status, and what it printed to its end: that of all that it started."""
        process = self.start(*argv, **told)
        out, err = process.communicate(timeout=SECONDS)
        return process.returncode, out.decode(), err.decode()

    def close(self) -> None:
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, SIGKILL)
            process.communicate(timeout=SECONDS)


@pytest.fixture
def steps(tmp_path: Path, able: dict[str, Any], request: pytest.FixtureRequest) -> Iterator[Steps]:
    way: str = request.param
    kind = way.partition(" ")[0]
    if kind != "none" and not able[kind]["works"]:
        pytest.skip(f"{kind}: {able[kind]['reason']}")
    made = Steps(tmp_path, way, able["env"])
    yield made
    made.close()
