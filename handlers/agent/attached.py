"""An attach at a terminal: it shows what the program shows, and every key goes to the program."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

from nexus.schemas.command import ApiClient, StandardInput, Terminal
from nexus.schemas.errors import NexusError
from nexus.schemas.session import WindowSize
from nexus.schemas.stream import HANDED_OVER, STOP_STATUS, Lines, StopReason
from nexus.schemas.terminal import TerminalScreen
from nexus.sessions.client import Attachment, SessionClient
from nexus.sessions.screen import Screen

DETACH = b"\x1c"
"""^\\, as in dtach and abduco: the one key that does not reach the program."""


class AttachedTerminal:
    """An `OutputStream` of the program's own bytes. It ends with the program, at ^\\, and when it is stopped."""

    hands_over = True

    def __init__(
        self, client: SessionClient, api: ApiClient, session_id: str, terminal: Terminal, keys: StandardInput
    ) -> None:
        self._client = client
        self._api = api
        self._id = session_id
        self._terminal = terminal
        self._keys = keys
        self._screen = Screen()
        self._status = 0
        self._said = f"detached: nexus agent terminal attach --session-id {session_id}"
        self._over = asyncio.Event()
        self._attachment: Attachment | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def exit_status(self) -> int:
        return self._status

    def stop(self, reason: StopReason) -> None:
        self._status = STOP_STATUS[reason]
        self._over.set()

    async def __aiter__(self) -> AsyncIterator[Lines]:
        size = WindowSize(columns=self._terminal.columns, rows=self._terminal.rows)
        path = "/api/terminal/sessions/{id}/screen"
        screen = await self._api.post(path, TerminalScreen, at={"id": self._id}, body=size)
        attachment = await self._client.attach(self._id, epoch=screen.epoch, after=screen.after, interactive=True)
        self._attachment = attachment
        await self._terminal.raw()
        self._tasks = [asyncio.create_task(self._type()), asyncio.create_task(self._resize())]
        yield self._shown(screen.content, screen.after)
        async for text, last in self._texts(attachment):
            if text:
                yield self._shown(text, last)
            await attachment.consumed(last)
        if self._status == HANDED_OVER:
            return
        yield Lines(f"{self._screen.undone()}\r\n[{self._said}]\r\n".encode(), attachment.reader.last or 0)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._attachment is not None:
            await self._attachment.aclose()

    def _shown(self, text: str, last: int) -> Lines:
        self._screen.feed(text)
        return Lines(text.encode(), last)

    async def _texts(self, attachment: Attachment) -> AsyncIterator[tuple[str, int]]:
        """Yield what the program shows, and how far in the log that is, until its end or ours."""
        over = asyncio.create_task(self._over.wait())
        receiving: asyncio.Task[object] | None = None
        try:
            while True:
                receiving = asyncio.create_task(attachment.receive())
                await asyncio.wait((receiving, over), return_when=asyncio.FIRST_COMPLETED)
                if self._over.is_set():
                    return
                batch = receiving.result()
                if batch is None:
                    return
                yield self._read(batch.lines), batch.last
        except NexusError as error:
            self._status = error.exit_status
            self._said = str(error)
        finally:
            over.cancel()
            if receiving is not None:
                receiving.cancel()

    def _read(self, lines: bytes) -> str:
        texts = []
        for line in lines.splitlines():
            event = json.loads(line)
            payload = event["payload"]
            if event["event"] == "close":
                code = payload["exitCode"]
                self._said = payload["reason"] + ("" if code is None else f" with code {code}")
            elif payload.get("type") == "terminal-output":
                texts.append(payload["content"])
        return "".join(texts)

    async def _type(self) -> None:
        """Pass the keys on, until ^\\ or the end of stdin."""
        sender = self._client.sender(self._id)
        try:
            async for keys in self._keys.chunks():
                before, detach, _ = keys.partition(DETACH)
                if before:
                    await sender.put(before)
                if detach:
                    break
        except NexusError:
            pass  # the program has ended, which its stream tells
        else:
            self._over.set()
        finally:
            await sender.aclose()

    async def _resize(self) -> None:
        while True:
            columns, rows = await self._terminal.resized()
            with suppress(NexusError):
                await self._client.resize(self._id, columns, rows)
