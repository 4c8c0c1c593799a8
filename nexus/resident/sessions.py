"""The Session ABI's way to the local kernel, which stays the same object when the kernel's owner changes."""

from pathlib import Path
from typing import Protocol

from nexus.client.way import Way
from nexus.schemas.errors import BackendUnavailable
from nexus.schemas.protocol import AttachSession, SessionAnswer, SessionCommand
from nexus.schemas.session import TransportName
from nexus.sessions.local import LocalTransport, SessionHost
from nexus.sessions.transport import Channel, Transport, TransportLost, TransportUnusable
from nexus.sessions.websocket import WebSocketTransport

URL = "ws://kernel.local/kernel"


class SessionKernel(Protocol):
    """Who opens the kernel, or finds its owner."""

    async def sessions(self) -> SessionHost | Path: ...

    async def socket(self) -> Path | None: ...

    async def reached(self) -> Way: ...

    async def forget(self, lost: Way) -> bool: ...


class LocalSessionWay:
    """Calls the kernel where it is ours, and speaks to its owner's socket where it is not.

    `name` is what was asked for: `websocket` and `hybrid` go by the socket even to a kernel of this process.
    """

    def __init__(self, kernel: SessionKernel, name: TransportName) -> None:
        self.name = name
        self._kernel = kernel
        self._way: Transport | None = None
        self._leads_to: SessionHost | Path | None = None

    async def request(self, command: SessionCommand) -> SessionAnswer:
        way = await self._reached()
        try:
            return await way.request(command)
        except TransportLost:
            await self._lost()
            raise

    async def attach(self, command: AttachSession) -> Channel:
        way = await self._reached()
        try:
            return await way.attach(command)
        except TransportLost:
            await self._lost()
            raise

    async def aclose(self) -> None:
        if self._way is not None:
            await self._way.aclose()

    async def _reached(self) -> Transport:
        target = await self._target()
        if self._way is None or target != self._leads_to:
            if self._way is not None:
                await self._way.aclose()
            self._leads_to = target
            if isinstance(target, Path):
                self._way = WebSocketTransport(URL, socket=target)
            else:
                self._way = LocalTransport(target)
        return self._way

    async def _target(self) -> SessionHost | Path:
        try:
            if self.name == "local":
                return await self._kernel.sessions()
            socket = await self._kernel.socket()
        except BackendUnavailable as error:
            raise TransportLost(str(error), sent=False) from error
        if socket is None:
            raise TransportUnusable("this process has no socket")
        return socket

    async def _lost(self) -> None:
        """The owner may have ended: whoever comes next looks for it anew."""
        await self._kernel.forget(await self._kernel.reached())
