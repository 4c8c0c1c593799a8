"""The driver of a debug-stream on a log file: each line an event, in order, once, over rotation and truncation."""

import asyncio
from collections.abc import Awaitable, Callable

from nexus.kernel.logs.buffer import LineBuffer
from nexus.kernel.logs.files import LogFile, Piece
from nexus.kernel.logs.parser import LogParser, log_payloads
from nexus.kernel.sessions.driver import Driver
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.errors import NexusError, NotFound
from nexus.schemas.log import LogOptions

SHORTEST_PAUSE = 0.02
LONGEST_PAUSE = 0.25
"""A file is looked at more rarely the longer nothing comes: two calls of the system each time."""


FindPath = Callable[[LogOptions], Awaitable[str]]


class FileDriver(Driver):
    """Streams one file. Its place in the file is committed with the lines."""

    busy = False

    def __init__(self, output: SessionOutput, options: LogOptions, find: FindPath) -> None:
        self.output = output
        self._options = options
        self._find = find
        self._source = f"file/{output.session.session_id}/{output.epoch}"
        self._path = ""
        self._file = LogFile("")
        self._buffer = LineBuffer()
        self._parser = LogParser()
        self._task: asyncio.Task[None] | None = None
        self._ending = False

    async def start(self) -> None:
        self._path = await self._find(self._options)
        self._file = LogFile(self._path, lines=self._options.lines)
        found = await asyncio.to_thread(self._file.open)
        if not found and not self._options.follow:
            raise NotFound(resource="file", reference=self._path)
        await self.output.describe(source=self._path, file=self._file.identity)
        await self._tell(f"Following {self._path}." if found else f"Waiting for {self._path}.", connected=found)
        self._begin()

    async def resume(self) -> None:
        offset = await self.output.position(self._source)
        self._path = self.output.session.metadata["source"]
        self._file = LogFile(self._path, offset=offset)
        if await asyncio.to_thread(self._file.open) and self._file.identity != self.output.session.metadata.get("file"):
            self._file.offset = 0
        self._begin()

    async def close(self, reason: str) -> None:
        await self.detach()
        await self.output.end(reason)

    async def detach(self) -> None:
        if self._task is not None:
            if not self._ending:  # an end that is begun is finished
                self._task.cancel()
            await asyncio.wait([self._task])
        self._file.close()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._follow(), name=f"log {self._path}")

    async def _follow(self) -> None:
        pause = SHORTEST_PAUSE
        try:
            while True:
                piece = await asyncio.to_thread(self._file.read)
                if piece is not None:
                    await self._take(piece)
                    pause = SHORTEST_PAUSE
                elif self._options.follow:
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.5, LONGEST_PAUSE)
                else:
                    break
        except NexusError as error:
            self._ending = True
            await self.output.error(error)
            await self.output.end("error", None, "error")
            return
        self._ending = True
        await self._append(self._buffer.flush())
        await self.output.end("end-of-file")

    async def _take(self, piece: Piece) -> None:
        if piece.anew:
            await self._append(self._buffer.flush())
            await self.output.describe(file=self._file.identity)
            await self._tell(f"{self._path} begins anew.", connected=True)
        await self._append(self._buffer.feed(piece.data))

    async def _append(self, text: str) -> None:
        if text:
            payloads = log_payloads(self._parser.facts(text), text, self._path)
            await self.output.append(payloads, mark=(self._source, self._file.offset - self._buffer.pending))

    async def _tell(self, message: str, *, connected: bool) -> None:
        from nexus.sessions import lines

        payload = lines.status("connected" if connected else "connecting", message)
        mark = (self._source, self._file.offset - self._buffer.pending)
        await self.output.append([payload], event="status", mark=mark)
