"""The whole path of a command over a real kernel on a fresh home: words in, an envelope and an exit status out."""

import asyncio
import json
import os
import shlex
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nexus.call import Call
from nexus.cli.run import run
from nexus.client.way import AppWay, Way
from nexus.dispatch.runtime import Runtime
from nexus.fronts import CommandFronts
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.schemas.errors import ValidationError
from nexus.sessions.local import LocalTransport
from nexus.sessions.transport import Transport


@dataclass
class Kept:
    """An end that keeps what is written to it."""

    is_terminal: bool = False
    written: bytearray = field(default_factory=bytearray)

    async def write(self, data: bytes, reached: object = None) -> None:
        self.written += data


@dataclass
class Given:
    """A stdin that holds some bytes."""

    content: bytes = b""
    is_terminal: bool = False

    async def read(self, limit: int) -> bytes:
        if len(self.content) > limit:
            raise ValidationError.because(f"Standard input has more than {limit} bytes.")
        return self.content

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.content


class Silent:
    """A caller that sends no signal."""

    async def next(self) -> int:
        return await asyncio.Event().wait()


@dataclass
class Answer:
    """What a command printed, and its exit status."""

    status: int
    envelope: dict[str, Any]

    @property
    def data(self) -> Any:
        """The result. The test fails unless the command succeeded."""
        assert self.status == 0, self.envelope
        return self.envelope["data"]

    @property
    def error(self) -> dict[str, Any]:
        """The first error. The test fails unless the command did, with the exit status that its error names."""
        assert self.envelope["status"] == "error", self.envelope
        first: dict[str, Any] = self.envelope["errors"][0]
        assert first["details"]["exitCode"] == self.status
        return first


class Nexus:
    """`await nexus("agent project list")`: one command line, read as a shell reads it."""

    def __init__(self, runtime: Runtime, cwd: Path) -> None:
        self.runtime = runtime
        self.cwd = cwd

    async def __call__(
        self,
        line: str,
        *,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        umask: int = 0o077,
        limits: Mapping[int, tuple[int, int]] | None = None,
    ) -> Answer:
        words = shlex.split(line)
        call = Call(
            argv=tuple(words[1:] if words[:1] == ["nexus"] else words),
            cwd=self.cwd,
            environment={"HOME": str(self.cwd), "PATH": os.defpath, **(environment or {})},
            stdin=Given(stdin),
            stdout=Kept(),
            stderr=Kept(),
            signals=Silent(),
            umask=umask,
            limits=limits or {},
        )
        status = await run(call, self.runtime)
        assert isinstance(call.stdout, Kept)
        return Answer(status, json.loads(call.stdout.written))

    async def all(self, *lines: str) -> list[Any]:
        """Run lines that must succeed, and return their results."""
        return [(await self(line)).data for line in lines]


@dataclass
class Folders:
    """Every place below one folder."""

    home: Path

    @property
    def config(self) -> Path:
        return self.home / "config"

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def data(self) -> Path:
        return self.home / "data"


@dataclass
class InThisProcess:
    """The kernel of the local profile, called in process."""

    kernel: Kernel

    async def way(self) -> Way:
        return AppWay(self.kernel.app)

    async def session_transport(self, name: str) -> Transport:
        assert name == "local", name
        return LocalTransport(self.kernel.sessions)


@pytest.fixture
async def nexus(tmp_path: Path) -> AsyncIterator[Nexus]:
    folders = Folders(tmp_path / "home")
    work = tmp_path / "work folder"
    work.mkdir()
    kernel = await Kernel.open(folders.data, OneShotHost())
    runtime = Runtime(InThisProcess(kernel), folders, CommandFronts)
    yield Nexus(runtime, work)
    await runtime.close()
    await kernel.close()


@pytest.fixture
async def demo(nexus: Nexus) -> Nexus:
    """A home with the project `demo`, selected."""
    await nexus.all("agent project create --name demo --select")
    return nexus


@pytest.fixture
def commit_all() -> Callable[[Path], None]:
    """Return what makes a git repository of a folder, if it is none, and commits all that is in it."""

    def commit(folder: Path) -> None:
        git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.com"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "All"]):
            subprocess.run([*git, *words], check=True, timeout=30)

    return commit
