"""An installation of this checkout as pip lays it out, and homes whose residents end with their test."""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nexus.kernel.holder.place import HolderPlace
from tests.kernel.holder.programs import end as end_holder
from tests.processes import gone

ROOT = Path(__file__).parents[3]
STAGE = Path(__file__).with_name("stage.py")
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def install(prefix: Path) -> Path:
    """Make a virtual environment with a copy of the package in it, as a wheel's installation looks; return `nexus`."""
    venv.create(prefix, with_pip=False, symlinks=True)
    site = prefix / "lib" / PYTHON / "site-packages"
    borrowed = [path for path in sys.path if path.endswith("-packages")]
    (site / "dependencies.pth").write_text("\n".join(borrowed) + "\n")
    shutil.copytree(ROOT / "nexus", site / "nexus", ignore=shutil.ignore_patterns("__pycache__"))
    script = prefix / "bin" / "nexus"
    shutil.copy(ROOT / "nexus" / "launcher" / "nexus", script)
    script.chmod(0o755)
    record = site / "nexus_cli-0.1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("nexus/__init__.py,,\n")
    return script


@dataclass
class Answered:
    """What a finished command left."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def envelope(self) -> dict[str, Any]:
        """The one envelope on stdout."""
        lines = self.stdout.splitlines()
        assert len(lines) == 1, (self.stdout[:2000], self.stderr[:2000])
        found: dict[str, Any] = json.loads(lines[0])
        assert list(found) == ["status", "data", "message", "requestId", "timestamp", "errors"]
        return found

    @property
    def code(self) -> str:
        """The code of the envelope's first error."""
        code: str = self.envelope["errors"][0]["code"]
        return code


@dataclass
class Home:
    """One NEXUS_HOME, the command that works in it, and whatever was started there."""

    path: Path
    script: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def env(self, **changes: str | None) -> dict[str, str]:
        """Return the environment of a command here; None takes a variable out."""
        base: dict[str, str | None] = {"PATH": "/usr/bin:/bin", "HOME": str(self.path), "LANG": "C.UTF-8"}
        base |= {"NEXUS_HOME": str(self.path)} | self.environment | changes
        return {name: value for name, value in base.items() if value is not None}

    def start(
        self, *words: str | bytes, env: dict[str, str] | None = None, **options: Any
    ) -> "subprocess.Popen[bytes]":
        """Start a command, with pipes unless told otherwise."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        process = subprocess.Popen([self.script, *words], env=env or self.env(), **options)
        self.started.append(process)
        return process

    def run(self, *words: str | bytes, stdin: bytes | None = None, given: Any = None, **options: Any) -> Answered:
        """Run a command to its end; `stdin` is what it may read, `given` an open file that is its stdin."""
        options["stdin"] = given or (subprocess.DEVNULL if stdin is None else subprocess.PIPE)
        process = self.start(*words, **options)
        stdout, stderr = process.communicate(stdin, timeout=60)
        return Answered(process.returncode, stdout or b"", stderr or b"")

    def shell(self, line: str, *words: str, **options: Any) -> Answered:
        """Run a shell's line, in which "$NEXUS" is the command."""
        options = {"env": self.env(), "stdin": subprocess.DEVNULL, "capture_output": True, "timeout": 60} | options
        options["env"] = options["env"] | {"NEXUS": str(self.script)}
        if "input" in options:
            del options["stdin"]
        done = subprocess.run(["/bin/sh", "-c", line, "sh", *words], check=False, **options)
        return Answered(done.returncode, done.stdout or b"", done.stderr or b"")

    def locks(self) -> list[Path]:
        """Return the owner locks of whatever residents there were."""
        return [path for path in self.path.rglob("resident-*.lock") if path.read_bytes()]

    def pid(self) -> int:
        """Return the pid of the one resident here."""
        (lock,) = self.locks()
        return int(lock.read_bytes().split(b"\n")[0])

    def gone(self, pid: int, seconds: float = 20) -> bool:
        """Wait for a process to end; say whether it has."""
        return gone(pid, seconds)

    def kill(self) -> int:
        """Kill the resident, waiting for the next one if the last is dead; return what its pid was, when it is gone."""
        deadline = time.monotonic() + 20
        while True:
            try:
                pid = self.pid()
                os.kill(pid, signal.SIGKILL)
                break
            except (ProcessLookupError, ValueError):
                assert time.monotonic() < deadline, "no resident came"
                time.sleep(0.01)
        assert self.gone(pid)
        return pid

    def close(self) -> None:
        """End all that was started here."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for end in (process.stdin, process.stdout, process.stderr):
                if end is not None:
                    end.close()
        for lock in self.path.rglob("resident-*.lock"):
            with lock.open("r+", errors="surrogateescape") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    continue
                except BlockingIOError:
                    pid = int(file.readline())
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
            if not self.gone(pid, 5):
                os.kill(pid, signal.SIGKILL)
                assert self.gone(pid)
        for folder in self.path.glob("data/holder"):
            # Terminals outlive their resident, and these must not outlive their test.
            asyncio.run(end_holder(HolderPlace(str(folder))))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real command, installed."""
    return install(tmp_path_factory.mktemp("an installation"))


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command with a dispatcher of its own, whose commands do what a test needs done to launcher and resident."""
    script = install(tmp_path_factory.mktemp("the stage"))
    shutil.copy(STAGE, script.parents[1] / "lib" / PYTHON / "site-packages" / "nexus" / "cli" / "run.py")
    return script


@pytest.fixture
def homes() -> Iterator[Callable[..., Home]]:
    """Make homes at short paths; all that runs there ends with the test."""
    made: list[Home] = []
    with tempfile.TemporaryDirectory(prefix="nx") as folder:

        def make(script: Path, **environment: str) -> Home:
            path = Path(folder) / str(len(made))
            path.mkdir()
            made.append(Home(path, script, environment))
            return made[-1]

        try:
            yield make
        finally:
            for home in made:
                home.close()


@pytest.fixture
def home(homes: Callable[..., Home], installed: Path) -> Home:
    """A home of the real command."""
    return homes(installed)


@pytest.fixture
def stage(homes: Callable[..., Home], staged: Path) -> Home:
    """A home of the staged command."""
    return homes(staged)


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for what nothing announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
