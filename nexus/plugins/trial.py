"""A plugin tried as nexus runs it: installed into a home of its own, with all the rights that it asks for."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nexus

SECONDS = 300.0


class TrialFailed(AssertionError):
    """A command of a trial did not succeed; the text is its whole answer."""


class Trial:
    """`with Trial(folder) as trial: trial.run("weather city view --name Oslo")`.

    Each command is a process of nexus without a resident, in an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._home = tempfile.TemporaryDirectory(prefix="nexus-trial-")

    def __enter__(self) -> Self:
        self.run(shlex.join(["settings", "plugin", "install", str(self._folder), "--grant", "all"]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._home.cleanup()

    def run(self, line: str) -> dict[str, Any]:
        """Run a command and return its envelope. Raises `TrialFailed` unless it succeeds."""
        done = self._process(line)
        if done.returncode != 0:
            raise TrialFailed((done.stdout + done.stderr).decode(errors="replace"))
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def stream(self, line: str) -> list[dict[str, Any]]:
        """Run a command that streams and return its events. Raises `TrialFailed` unless it succeeds."""
        done = self._process(line)
        if done.returncode != 0:
            raise TrialFailed((done.stdout + done.stderr).decode(errors="replace"))
        return [json.loads(event) for event in done.stdout.splitlines()]

    def fail(self, line: str) -> dict[str, Any]:
        """Run a command that must fail and return its first error. Raises `TrialFailed` when it succeeds."""
        done = self._process(line)
        if done.returncode == 0:
            raise TrialFailed(done.stdout.decode(errors="replace"))
        error: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["errors"][0]
        return error

    def _process(self, line: str) -> "subprocess.CompletedProcess[bytes]":
        words = shlex.split(line)
        home = Path(self._home.name)
        work = home / "work"
        work.mkdir(exist_ok=True)
        root = str(Path(nexus.__file__).resolve().parent.parent)
        environment = {
            "PATH": os.defpath,
            "HOME": str(home),
            "NEXUS_HOME": str(home / "nexus"),
            "NEXUS_RESIDENT": "0",
            "PYTHONPATH": root,
        }
        return subprocess.run(  # noqa: S603 -- nexus itself, by this interpreter
            [sys.executable, "-m", "nexus", *(words[1:] if words[:1] == ["nexus"] else words)],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
