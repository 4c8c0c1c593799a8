"""The access log: one JSON object a line; nothing that was sent to us can begin a line of its own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from nexus.schemas.errors import ReaderGone
from nexus.schemas.model import rfc3339

PAUSE_SECONDS = 0.02
"""So long lines are gathered after a write, to be written together."""
MOST_LINES = 10_000
"""So many lines wait for a slow reader; further ones are dropped, and counted."""


class AccessLog:
    """Takes lines at once, and writes them as fast as they are taken from it."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_LINES)
        self._dropped = 0
        self._closing = asyncio.Event()

    def tell(self, facts: dict[str, Any], level: str = "info", message: str = "request") -> None:
        """Take the facts of one request, or of something else that is worth a line; never blocks."""
        record = {"timestamp": rfc3339(datetime.now(UTC)), "level": level, "message": message, **facts}
        self.relay(to_json(record, ensure_ascii=True) + b"\n")

    def relay(self, line: bytes) -> None:
        """Take a whole line that another process made; never blocks."""
        try:
            self._waiting.put_nowait(line)
        except asyncio.QueueFull:
            self._dropped += 1

    async def write(self) -> None:
        """Write what comes, many lines at once where they wait, until `close`."""
        ended = False
        while not ended:
            lines = [await self._waiting.get()]
            while not self._waiting.empty():
                lines.append(self._waiting.get_nowait())
            ended = None in lines
            dropped, self._dropped = self._dropped, 0
            if dropped:
                self.tell({}, "warning", f"{dropped} lines of the access log were dropped.")
            try:
                await self._write(b"".join(line for line in lines if line is not None))
            except ReaderGone:
                # The requests go on without a log; that nobody reads it is no reason to refuse them.
                return
            if not ended:
                # A write for each line would cost a busy server a tenth of its time.
                await self._wait_for_more()

    async def _wait_for_more(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), PAUSE_SECONDS)

    async def close(self) -> None:
        """Let `write` end behind what waits."""
        self._closing.set()
        try:
            self._waiting.put_nowait(None)
        except asyncio.QueueFull:
            return


class LogLines(logging.Handler):
    """Has what libraries log written as lines of the access log. What a server's own end gives rise to is left out."""

    def __init__(self, log: AccessLog) -> None:
        super().__init__(logging.WARNING)
        self.ending = False
        self._log = log
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record."""
        if self.ending and record.name.startswith("uvicorn"):
            return
        facts = {"logger": record.name}
        if record.exc_info:
            facts["traceback"] = self._formatter.formatException(record.exc_info)
        self._log.tell(facts, record.levelname.lower(), record.getMessage())

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take what uvicorn logs, and everything else where nobody else takes it."""
        root = logging.getLogger()
        taken = logging.getLogger("uvicorn") if root.handlers else root
        taken.addHandler(self)
        propagates, taken.propagate = taken.propagate, False
        try:
            yield
        finally:
            taken.removeHandler(self)
            taken.propagate = propagates
