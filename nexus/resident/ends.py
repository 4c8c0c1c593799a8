"""The ends of one command, over the frames of its launcher."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Protocol

from nexus.launcher import frames
from nexus.schemas.errors import ReaderGone, ValidationError
from nexus.schemas.stream import Printed


class Line(Protocol):
    """Where frames go to the launcher."""

    async def send(self, kind: int, payload: bytes | memoryview) -> None:
        """Send one frame at the launcher's pace. Raises `ReaderGone`."""
        ...


class FrameOutput:
    """stdout or stderr of the caller."""

    def __init__(self, line: Line, kind: int, *, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self.written = False
        self.marked = False
        self._line = line
        self._kind = kind

    async def write(self, data: bytes, reached: Printed | None = None) -> None:
        """Send all of it, in frames of 64 KiB at most. Raises `ReaderGone`."""
        kind = self._kind if reached is None else frames.LINES
        view = memoryview(data)
        for start in range(0, len(data), frames.CHUNK):
            self.written = True
            await self._line.send(kind, view[start : start + frames.CHUNK])
        if reached is not None:
            self.marked = True
            await self._line.send(frames.MARK, json.dumps(asdict(reached)).encode())


class FrameInput:
    """stdin of the caller, read there only while a command here waits for it."""

    def __init__(self, line: Line, *, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self._line = line
        self._answer: asyncio.Future[bytes] | None = None
        self._ended = False

    async def read(self, limit: int) -> bytes:
        """Read to the end. Raises `ValidationError` when more than `limit` bytes come."""
        found = bytearray()
        async for chunk in self.chunks():
            found += chunk
            if len(found) > limit:
                raise ValidationError.because(f"stdin holds more than {limit} bytes.", limit=limit)
        return bytes(found)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what comes, 64 KiB at most at a time, to the end."""
        while not self._ended:
            if self._answer is None:
                self._answer = asyncio.get_running_loop().create_future()
                await self._line.send(frames.STDIN_WANTED, b"%d" % frames.CHUNK)
            data = await asyncio.shield(self._answer)
            self._answer = None
            if data:
                yield data

    def feed(self, data: bytes) -> None:
        """Take the launcher's answer, empty at the end."""
        self._ended = self._ended or not data
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(data)

    def hang_up(self) -> None:
        """The launcher is gone, and stdin with it."""
        self._ended = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ReaderGone())
            # A command that does not wait for stdin now must not be warned about it later.
            self._answer.exception()


class FrameSignals:
    """The signals that the launcher was sent."""

    def __init__(self) -> None:
        self._numbers: asyncio.Queue[int] = asyncio.Queue()

    async def next(self) -> int:
        """Wait for the next one and return its number."""
        return await self._numbers.get()

    def feed(self, number: int) -> None:
        """Take one."""
        self._numbers.put_nowait(number)


class SizedTerminal:
    """A terminal's size, as it changes."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns = columns
        self.rows = rows
        self._changed = asyncio.Event()

    def feed(self, columns: int, rows: int) -> None:
        """Take a new size."""
        self.columns, self.rows = columns, rows
        self._changed.set()

    async def resized(self) -> tuple[int, int]:
        """Wait until the size has changed, and return columns and rows: of many changes the last."""
        await self._changed.wait()
        self._changed.clear()
        return self.columns, self.rows


class FrameTerminal(SizedTerminal):
    """The terminal that stdin and stdout of the caller are; the launcher puts it back when it ends."""

    def __init__(self, line: Line, columns: int, rows: int) -> None:
        super().__init__(columns, rows)
        self._line = line

    async def hidden(self) -> None:
        """Show nothing of what is typed."""
        await self._line.send(frames.RAW, b"hidden")

    async def raw(self) -> None:
        """Have every key as it is pressed."""
        await self._line.send(frames.RAW, b"")
