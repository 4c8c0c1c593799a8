"""What tests of the command share: a shell in which `nexus` is the command of the code that is tested."""

import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import nexus
from nexus import places
from nexus.kernel.holder.place import HolderPlace
from tests.kernel.holder.programs import end
from tests.processes import gone

SECONDS = 60

# Under nohup the suite ignores the hang-up, in the background of a script the interrupt: so would all that it starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def places_of(*programs: str) -> list[str]:
    """Return the folders of programs that need not be among the system's own."""
    return sorted({str(Path(found).parent) for program in programs if (found := shutil.which(program))})


class Shell:
    """A caller with a home, a folder and a PATH of its own. `run` reads a script as bash does."""

    def __init__(self, folder: Path) -> None:
        self.cwd = folder / "work"
        self.home = folder / "home"
        commands = folder / "bin"
        for made in (self.cwd, self.home, commands):
            made.mkdir()
        self.environment = {
            "HOME": str(self.home),
            "NEXUS_HOME": str(folder / "nexus home"),
            "PATH": os.pathsep.join([str(commands), *places_of("bash", "git", "jq"), os.defpath]),
        }
        root = Path(nexus.__file__).resolve().parent.parent
        words = shlex.join([sys.executable, "-m", "nexus"])
        (commands / "nexus").write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(root))} exec {words} "$@"\n')
        (commands / "nexus").chmod(0o755)

    def run(
        self, script: str, *, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a script that ends at its first failing line, and return its exit status and what it printed."""
        return subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            cwd=self.cwd,
            env={**self.environment, **(environment or {})},
            input=stdin,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )

    def close(self) -> None:
        """End the resident that was started here, if one was, and what it held, and wait until they are gone."""
        self._stop_resident()
        for folder in self.cwd.parent.glob("*/data/holder"):
            asyncio.run(end(HolderPlace(str(folder))))

    def _stop_resident(self) -> None:
        if not os.path.lexists(places.find(self.environment.get, str(self.cwd)).socket):
            return
        stopped = self.run("nexus debug kernel stop --profile local")
        pid = json.loads(stopped.stdout)["data"]["pid"]
        assert gone(pid, 20)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long runs out unless they are asked for: NEXUS_SOAK=1 runs them whole."""
    if os.environ.get("NEXUS_SOAK"):  # noqa: TID251 -- the tests' switch
        return
    short = [item for item in items if item.get_closest_marker("soak") is None]
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("soak") is not None])
    items[:] = short
