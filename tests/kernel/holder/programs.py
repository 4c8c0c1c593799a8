"""What the tests of the holder share: programs to start, and their output read until something holds."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from nexus.kernel.holder.client import Holder
from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.spool import Kind, Record

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "HOME": "/tmp"}
PATIENCE = 30.0


async def end(place: HolderPlace) -> None:
    """Stop the place's holder, if there is one, and wait until it is gone."""
    async with asyncio.timeout(PATIENCE):
        try:
            last = await Holder.connect(place)
        except (ConnectionError, FileNotFoundError):
            return
        for held in await last.programs():
            if held.running:
                await last.signal(held.name, 9, everyone=True)
        await last.stop()
        await last.until_lost()
        await last.close()


def shell(script: str, *, terminal: tuple[int, int] | None = (80, 24), **more: Any) -> ProgramSpec:
    """A program that runs a script of `sh`."""
    more = {"cwd": "/tmp", "environment": ENVIRONMENT, "linger": 5.0} | more
    return ProgramSpec(("/bin/sh", "-c", script), terminal=terminal, **more)


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds, of something that tells nobody when it changes."""
    for _ in range(int(PATIENCE / 0.02)):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never held")


class Reading:
    """What was read of a program's output so far."""

    def __init__(self, holder: Holder, name: str, position: int = 0) -> None:
        self.records: list[Record] = []
        self._output = holder.output(name, position)

    async def until(self, wanted: Callable[["Reading"], bool]) -> "Reading":
        """Read on until it holds."""
        async with asyncio.timeout(PATIENCE):
            while not wanted(self):
                self.records += await self._output.read()
                self._output.confirmed = self.records[-1].end
        return self

    async def more(self) -> "Reading":
        """Read what comes next."""
        size = len(self.records)
        return await self.until(lambda reading: len(reading.records) > size)

    async def until_printed(self, text: bytes) -> "Reading":
        return await self.until(lambda reading: text in reading.stdout)

    async def to_exit(self) -> dict[str, Any]:
        """Read to the next exit, and return it."""
        seen = len(self.told(Kind.EXIT))
        await self.until(lambda reading: len(reading.told(Kind.EXIT)) > seen)
        return self.told(Kind.EXIT)[-1]

    def of(self, kind: Kind) -> bytes:
        return b"".join(record.payload for record in self.records if record.kind == kind)

    @property
    def stdout(self) -> bytes:
        return self.of(Kind.STDOUT)

    def told(self, kind: Kind) -> list[dict[str, Any]]:
        return [json.loads(record.payload) for record in self.records if record.kind == kind]


Run = Callable[..., Awaitable[Reading]]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
