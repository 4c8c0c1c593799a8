"""The wheel of this checkout, installed into an environment of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Installed:
    """An installed nexus: its command, the interpreter beside it, and an environment with a NEXUS_HOME of its own."""

    nexus: str
    python: str
    environment: dict[str, str]

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self.nexus, *words], env=self.environment | environment, capture_output=True, timeout=120, check=False
        )

    def stop(self) -> None:
        self.run("debug", "kernel", "stop")


def install(source: Path, folder: Path, python: str) -> Installed:
    """Build and install `source` into `folder`/venv, with bytecode as pip leaves it."""
    environment = folder / "venv"
    subprocess.run([python, "-m", "venv", str(environment)], check=True)
    interpreter = str(environment / "bin" / "python")
    subprocess.run([interpreter, "-m", "pip", "install", "--quiet", str(source)], check=True)
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TERM")}
    return Installed(str(environment / "bin" / "nexus"), interpreter, kept | {"NEXUS_HOME": str(home)})


@contextmanager
def installed(python: str = sys.executable, source: Path = ROOT) -> Iterator[Installed]:
    """Install, hand over, and take everything away again, the resident first."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-benchmark-"))
    try:
        found = install(source, folder, python)
        try:
            yield found
        finally:
            found.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
