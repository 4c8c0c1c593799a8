"""The socket of a command that owns the data folder for its own time: others reach the kernel through it meanwhile."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.call import Call
from nexus.launcher.exchange import Unavailable
from nexus.resident.connection import Connection, Refused
from nexus.resident.listener import BACKLOG, Listener
from nexus.resident.request import Request
from nexus.resident.web import WebFace

if TYPE_CHECKING:
    from starlette.types import ASGIApp

OTHERS_SECONDS = 5.0
"""How long the kernel stays open for requests of others when our own command is done."""

_log = logging.getLogger(__name__)


class Door:
    """Opened when the kernel is, closed with the command. It speaks HTTP only."""

    def __init__(self, runtime: Path, app: "Callable[[], Awaitable[ASGIApp]]") -> None:
        self.instance = b""
        self.owner = os.geteuid()
        self._listener = Listener(runtime / f"{os.getpid()}.sock")
        self._server: asyncio.Server | None = None
        self._web = WebFace(app)
        self._silent: set[Connection] = set()

    async def open(self) -> Path | None:
        """Listen, and return where; None where no socket can be had, so that others wait for our end."""
        try:
            listening = self._listener.bind()
        except (OSError, Unavailable) as error:
            _log.info("no socket for others: %s", error)
            return None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Connection(self), sock=listening, backlog=BACKLOG)
        return self._listener.path

    async def close(self, seconds: float = OTHERS_SECONDS) -> None:
        """Let the requests of others finish, for so long at most."""
        if self._server is not None:
            self._listener.remove()
            self._server.close()
            for connection in list(self._silent):
                connection.give_up()
            await self._web.close(seconds)

    def admit(self, request: Request) -> None:  # noqa: ARG002 -- whatever is asked
        """Refuse: this process has a command already."""
        raise Refused("This process runs one command, and not this one.")

    async def answer(self, call: Call) -> int:
        """Never called, for nothing is admitted."""
        raise NotImplementedError

    def entered(self, connection: Connection) -> None:
        """Remember a connection that has not said yet what it wants."""
        self._silent.add(connection)

    def left(self, connection: Connection) -> None:
        """Forget it."""
        self._silent.discard(connection)

    def take_http(self, transport: asyncio.Transport, data: bytes) -> None:
        """Serve the kernel's API."""
        self._web.take(transport, data)
