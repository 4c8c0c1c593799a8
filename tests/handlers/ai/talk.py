"""Streaming commands over the whole path, and scripts that answer."""

import asyncio
import json
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nexus.call import Call
from nexus.cli.run import run
from tests.handlers.conftest import Given, Kept, Nexus


@dataclass
class Watched(Kept):
    """An end that tells when something is written to it."""

    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, data: bytes, reached: object = None) -> None:
        await super().write(data, reached)
        self.came.set()


class Signalled:
    """A caller that sends the signals that the test puts."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[int] = asyncio.Queue()

    async def next(self) -> int:
        return await self.sent.get()


@dataclass
class Streaming:
    """A streaming command at work. `events` are those that it printed by now."""

    stdout: Watched = field(default_factory=Watched)
    signals: Signalled = field(default_factory=Signalled)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in bytes(self.stdout.written).splitlines()]

    @property
    def text(self) -> str:
        return "".join(
            event["payload"]["content"] for event in self.events if event["payload"].get("type") == "ai-token"
        )

    async def run(self, nexus: Nexus, line: str, environment: dict[str, str] | None = None, stdin: bytes = b"") -> int:
        """Run the command to its end and return its exit status."""
        words = shlex.split(line)
        call = Call(
            argv=tuple(words),
            cwd=nexus.cwd,
            environment={"HOME": str(nexus.cwd), "PATH": os.defpath, **(environment or {})},
            stdin=Given(stdin),
            stdout=self.stdout,
            stderr=Kept(),
            signals=self.signals,
        )
        return await asyncio.wait_for(run(call, nexus.runtime), 60)

    async def until(self, done: Callable[["Streaming"], bool]) -> None:
        """Wait until what was printed is as wanted."""
        async with asyncio.timeout(30):
            while not done(self):
                self.stdout.came.clear()
                await self.stdout.came.wait()

    async def until_text(self, text: str) -> None:
        """Wait until the answer printed this text."""
        await self.until(lambda each: each.text == text)

    async def until_begun(self) -> None:
        """Wait until the stream has begun."""
        await self.until(lambda each: bool(each.stdout.written))


async def streamed(nexus: Nexus, line: str, **more: Any) -> tuple[int, Streaming]:
    """Run a streaming command to its end; return its exit status and what it printed."""
    streaming = Streaming()
    return await streaming.run(nexus, line, **more), streaming


def write_script(nexus: Nexus, *turns: Any, name: str = "talk.json", **more: Any) -> None:
    """Write a script where the commands run."""
    (nexus.cwd / name).write_text(json.dumps({"turns": [{"answer": turn} for turn in turns], **more}), "utf-8")
