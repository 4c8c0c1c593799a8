"""The local transport: the kernel in this process, by a face of it that is injected."""

from typing import Protocol

from nexus.schemas.protocol import AttachSession, SessionAnswer, SessionCommand
from nexus.schemas.session import TransportName
from nexus.sessions.transport import Channel


class SessionHost(Protocol):
    """What the kernel shows of its sessions to whoever lives in its process, and on its event loop."""

    async def request(self, command: SessionCommand) -> SessionAnswer:
        """Do one command. Raises its error."""
        ...

    async def attach(self, command: AttachSession) -> Channel:
        """Open a channel. Raises what forbids it."""
        ...


class LocalTransport:
    """Calls, where the others send. Nothing can be lost on this way."""

    name: TransportName = "local"

    def __init__(self, host: SessionHost) -> None:
        self._host = host

    async def request(self, command: SessionCommand) -> SessionAnswer:
        return await self._host.request(command)

    async def attach(self, command: AttachSession) -> Channel:
        return await self._host.attach(command)

    async def aclose(self) -> None:
        """Do nothing: the kernel is another's."""
