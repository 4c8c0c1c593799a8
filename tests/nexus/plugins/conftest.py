"""Plugins written for a test, in a home without a kernel, and a caller who runs their commands."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nexus.call import Call
from nexus.cli.run import run
from nexus.dispatch.runtime import Runtime
from nexus.fronts import CommandFronts
from nexus.schemas.errors import BackendUnavailable
from tests.handlers.conftest import Folders, Given, Kept


class NoKernel:
    """A local profile whose kernel is never needed."""

    async def way(self) -> Any:
        raise BackendUnavailable.because("There is no kernel in this test.")

    async def session_transport(self, name: str) -> Any:
        raise BackendUnavailable.because("There is no kernel in this test.")

    async def socket(self) -> Path | None:
        return None

    async def serve(self, call: Any, options: Any) -> Any:
        raise BackendUnavailable.because("There is no kernel in this test.")


@dataclass
class Signals:
    """Signals that a test sends."""

    sent: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    async def next(self) -> int:
        return await self.sent.get()


@dataclass
class Done:
    """What a command printed on both ends, and its exit status."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def data(self) -> Any:
        assert self.status == 0, self.stdout
        return json.loads(self.stdout)["data"]

    @property
    def error(self) -> dict[str, Any]:
        envelope = json.loads(self.stdout)
        assert envelope["status"] == "error", envelope
        first: dict[str, Any] = envelope["errors"][0]
        assert first["details"]["exitCode"] == self.status
        return first

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.splitlines()]


class Home:
    """A home with plugins, and a project folder that its caller is in."""

    def __init__(self, folder: Path) -> None:
        self.folders = Folders(folder / "home")
        self.project = folder / "project"
        self.project.mkdir()
        self.own = self.folders.data / "plugins"
        self.runtime = Runtime(NoKernel(), self.folders, CommandFronts)

    async def __call__(
        self,
        line: str,
        *,
        environment: Mapping[str, str] | None = None,
        signals: Signals | None = None,
        stdin: bytes = b"",
        stdout: Any = None,
    ) -> Done:
        words = shlex.split(line)
        stdout = stdout or Kept()
        stderr = Kept()
        call = Call(
            argv=tuple(words[1:] if words[:1] == ["nexus"] else words),
            cwd=self.project,
            environment={"HOME": str(self.project), "PATH": os.defpath, **(environment or {})},
            stdin=Given(stdin),
            stdout=stdout,
            stderr=stderr,
            signals=signals or Signals(),
        )
        async with asyncio.timeout(90):
            status = await run(call, self.runtime)
        return Done(status, bytes(stdout.written), bytes(stderr.written))

    def write(self, manifest: dict[str, Any], code: str = "", *, root: Path | None = None) -> Path:
        """Write a plugin; its code is in `code.py`."""
        return self.write_into(root or self.own, manifest, code)

    @staticmethod
    def write_into(root: Path, manifest: dict[str, Any], code: str) -> Path:
        """Write a plugin below a folder."""
        folder = root / manifest["name"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plugin.yml").write_text(json.dumps(manifest))
        (folder / f"{manifest['name'].replace('-', '_')}_code.py").write_text(textwrap.dedent(code))
        return folder


def action(call: str, **more: Any) -> dict[str, Any]:
    """Return an action of a manifest that calls this function."""
    return {"summary": "Do it.", "call": call, "examples": [{"line": "nexus help", "shows": "nothing"}], **more}


def manifest(name: str, actions: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a manifest whose actions are at `nexus NAME it …`."""
    told: dict[str, Any] = {"name": name, "version": "1.0.0", "kind": "custom", "summary": "A plugin of a test."}
    if actions:
        told["namespaces"] = {name: {"resources": {"it": {"actions": actions}}}}
    return {**told, **more}


Written = Callable[..., Path]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    home = Home(tmp_path)
    yield home
    await home.runtime.close()
