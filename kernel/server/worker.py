"""A worker of a server, as a process: it answers what the database alone can, and hands the rest to the owner.

It lives no longer than the owner: when the socket between them ends, so does the process, at once.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from nexus.kernel.debug import memory_bytes
from nexus.kernel.reader import Reader
from nexus.kernel.server.access_log import AccessLog, LogLines
from nexus.kernel.server.assignment import METRICS, MOST_LINE, SAYS, STOP, Assignment, Said
from nexus.kernel.server.face import NetworkFace, trusting
from nexus.kernel.server.forward import Forward
from nexus.kernel.server.relay import relay_to
from nexus.kernel.server.server import Server
from nexus.kernel.server.shared import SharedMemory, SharedRateLimit

CONTROL = 0
"""The descriptor that is the socket to the owner."""
LOG_SECONDS = 0.5
"""So long the last lines of the log may take."""


def main() -> None:
    """Serve until the owner says stop, or has gone; end the process."""
    # What a terminal sends its foreground is the owner's to hear: it tells the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assignment = Assignment.model_validate_json(_first_line())
    asyncio.run(Worker(assignment).run())
    os._exit(0)


def _first_line() -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        read = os.read(CONTROL, 1)
        if not read:
            os._exit(1)
        line += read
    return bytes(line)


def _end_with_owner(hearing: "asyncio.Task[None]") -> None:
    """End the process when it cannot hear its owner any more, for whatever reason."""
    if not hearing.cancelled():
        os._exit(1)


class Worker:
    """One worker, whole."""

    def __init__(self, assignment: Assignment) -> None:
        self._given = assignment
        self._log = AccessLog(self._write)
        self._lines = LogLines(self._log)
        self._memory = SharedMemory(assignment.memory)

    async def run(self) -> None:
        """Serve to the end."""
        given, options = self._given, self._given.options
        control = socket.socket(fileno=os.dup(CONTROL))
        heard, self._control = await asyncio.open_connection(sock=control, limit=MOST_LINE)
        self._reader = await Reader.open(given.data_folder, given.settings, given.projects)
        self._reader.access.shared = self._memory
        rate = SharedRateLimit(options.minute_rate, self._memory)
        self._face = NetworkFace(
            self._reader.app, self._reader.access, options, self._log.tell, lambda: (memory_bytes(), {}), rate
        )
        self._answers = trusting(self._face, options.proxies)
        self._forward = Forward(given.socket, options.body_seconds)
        listening = socket.socket(fileno=given.listening)
        server = Server(self._app, listening, options, given.tls, websockets=relay_to(given.socket), shared=True)

        def stop() -> None:
            self._lines.ending = True
            server.stop()
            self._face.end()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        hearing = asyncio.create_task(self._hear(heard, stop))
        writing = asyncio.create_task(self._log.write())
        hearing.add_done_callback(_end_with_owner)
        await self._say(Said(ready=True))
        with self._lines.installed():
            await server.serve()
            await self._end(hearing, writing)

    async def _end(self, hearing: "asyncio.Task[None]", writing: "asyncio.Task[None]") -> None:
        hearing.cancel()
        await self._say(self._counted())
        await self._log.close()
        await asyncio.wait((writing,), timeout=LOG_SECONDS)
        await self._forward.aclose()
        await self._reader.close()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._answers if self._reader.answers(scope) else self._forward)(scope, receive, send)

    async def _hear(self, heard: asyncio.StreamReader, stop: Callable[[], None]) -> None:
        # An owner that is killed with lines of ours unread resets the connection.
        with suppress(ConnectionError):
            while line := await heard.readline():
                if line == METRICS:
                    await self._say(self._counted())
                elif line == STOP:
                    stop()
        # The owner has gone: what it owned is another's now.
        os._exit(1)

    def _counted(self) -> Said:
        return Said(memory_bytes=memory_bytes(), metrics=self._face.metrics.told())

    async def _say(self, said: Said) -> None:
        await self._write(SAYS + said.model_dump_json(by_alias=True).encode() + b"\n")

    async def _write(self, lines: bytes) -> None:
        self._control.write(lines)
        with suppress(ConnectionError):
            await self._control.drain()
