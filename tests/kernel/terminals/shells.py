"""What the tests of terminals share: a kernel to open them in, and their events read until something holds."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.schemas.session import CallerSurroundings, NewSession, Session, SessionContext
from nexus.schemas.terminal import TerminalScreen
from nexus.sessions.client import Attachment, SessionClient
from nexus.sessions.local import LocalTransport
from tests.kernel.answers import answer
from tests.kernel.holder.programs import ENVIRONMENT

PATIENCE = 30.0


@dataclass
class Desk:
    """A kernel that can be left and come back to."""

    data_folder: Path
    kernel: Kernel
    project: dict[str, Any] = field(default_factory=dict)

    @property
    def sessions(self) -> SessionClient:
        return SessionClient(LocalTransport(self.kernel.sessions))

    async def open(self, *, environment: dict[str, str] | None = None, **options: Any) -> Session:
        """Open a terminal in the project; without `command` it is a bash that says `ready> `."""
        surroundings = CallerSurroundings(environment={**ENVIRONMENT, "PS1": "ready> ", **(environment or {})})
        shell = {} if "command" in options or "shell" in options else {"shell": str(self.bash())}
        return await self.sessions.create(
            NewSession(
                type="terminal",
                context=SessionContext(project_id=self.project["id"]),
                transport="local",
                options={**shell, **options},
                surroundings=surroundings,
            )
        )

    def bash(self) -> Path:
        """A bash that reads no file of the user's."""
        script = self.data_folder / "quiet-bash"
        if not script.exists():
            script.write_text("#!/bin/sh\nexec bash --norc --noprofile -i\n")
            script.chmod(0o755)
        return script

    async def again(self) -> None:
        """Close the kernel, as an upgrade does, and open another."""
        await self.kernel.close()
        self.kernel = await Kernel.open(self.data_folder, OneShotHost())

    async def attach(self, session: Session, **where: Any) -> "Watching":
        return Watching(await self.sessions.attach(session.session_id, **where))

    async def screen(self, session: Session, columns: int, rows: int) -> TerminalScreen:
        """Ask for the screen as a terminal does that comes later."""
        transport = httpx.ASGITransport(self.kernel.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://kernel") as api:
            path = f"/api/terminal/sessions/{session.session_id}/screen"
            return TerminalScreen.model_validate(answer(await api.post(path, json={"columns": columns, "rows": rows})))

    async def closed(self, session: Session) -> dict[str, Any]:
        """Read the session to its end, and return the close."""
        return (await (await self.attach(session)).to_end())[-1]["payload"]


async def opened_desk(data_folder: Path) -> Desk:
    return Desk(data_folder, await Kernel.open(data_folder, OneShotHost()))


class Watching:
    """One reader and what it has read."""

    def __init__(self, attachment: Attachment) -> None:
        self.events: list[dict[str, Any]] = []
        self._attachment = attachment

    async def until(self, wanted: Callable[["Watching"], bool]) -> "Watching":
        async with asyncio.timeout(PATIENCE):
            while not wanted(self):
                batch = await self._attachment.receive()
                assert batch is not None, f"the stream ended: {self.events[-3:]}"
                self.events += [json.loads(line) for line in batch.lines.splitlines()]
                await self._attachment.consumed(batch.last)
        return self

    async def until_printed(self, text: str, times: int = 1) -> "Watching":
        return await self.until(lambda watching: watching.text.count(text) >= times)

    async def to_end(self) -> list[dict[str, Any]]:
        await self.until(lambda watching: bool(watching.events) and watching.events[-1]["event"] == "close")
        assert [event["seq"] for event in self.events] == list(range(self.events[0]["seq"], self.events[-1]["seq"] + 1))
        return self.events

    async def leave(self) -> None:
        await self._attachment.aclose()

    @property
    def text(self) -> str:
        """All that was printed."""
        return "".join(
            event["payload"]["content"] for event in self.events if event["payload"].get("type") == "terminal-output"
        )
