"""Commands over a kernel whose steps run in a real sandbox, and in a shell with the installed command."""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nexus.call import Call
from nexus.cli.run import run
from nexus.dispatch.runtime import Runtime
from nexus.fronts import CommandFronts
from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import HOLDER_NAME, Kernel
from nexus.kernel.settings import KernelSettings, StepSettings
from nexus.resident.local import CONFINEMENT
from tests.handlers.conftest import Folders, Given, InThisProcess, Kept, Nexus, Silent
from tests.kernel.holder.programs import end

STEPS = StepSettings(parallel=2, confinement=(sys.executable, "-I", "-S", "-B", str(CONFINEMENT)))


class Pipelines(Nexus):
    """Commands in a folder with documents."""

    def write(self, name: str, text: str) -> None:
        (self.cwd / name).write_text(text)

    async def made(self, text: str) -> dict[str, Any]:
        """Create a pipeline."""
        self.write("p.yaml", text)
        return dict((await self("pipeline definition create --from p.yaml")).data)

    async def streamed(self, line: str, signals: Any = None, *, stdin: bytes = b"") -> tuple[int, list[dict[str, Any]]]:
        """Run a command that streams; return its exit status and its events."""
        stdout = Kept()
        call = Call(
            argv=tuple(shlex.split(line)),
            cwd=self.cwd,
            environment={"HOME": str(self.cwd), "PATH": os.defpath},
            stdin=Given(stdin),
            stdout=stdout,
            stderr=Kept(),
            signals=signals or Silent(),
        )
        status = await asyncio.wait_for(run(call, self.runtime), 100)
        return status, [json.loads(each) for each in stdout.written.splitlines()]


@pytest.fixture
async def pipelines(tmp_path: Path) -> AsyncIterator[Pipelines]:
    folders = Folders(tmp_path / "home")
    work = tmp_path / "work folder"
    work.mkdir()
    kernel = await Kernel.open(folders.data, OneShotHost(), settings=KernelSettings(steps=STEPS))
    runtime = Runtime(InThisProcess(kernel), folders, CommandFronts)
    yield Pipelines(runtime, work)
    await runtime.close()
    await kernel.close()
    await end(HolderPlace(str(folders.data / HOLDER_NAME)))


def messages(events: list[dict[str, Any]]) -> list[str]:
    """Return the lines that the steps printed."""
    return [event["payload"]["message"] for event in events if event["payload"].get("type") == "log"]
