"""The way to sessions of a command on which plugins hear: what was done is told after it was done."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nexus.schemas.command import SessionAccess
from nexus.schemas.protocol import (
    AttachSession,
    CloseSession,
    CreateSession,
    InterruptSession,
    RestartSession,
    SessionAnswer,
    SessionCommand,
    SessionCreated,
)
from nexus.schemas.session import TransportName
from nexus.sessions.client import SessionClient
from nexus.sessions.transport import Channel, Transport

Tell = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class ObservedSessions:
    """A `SessionAccess` like another, whose clients tell."""

    def __init__(self, access: SessionAccess, tell: Tell) -> None:
        self._access = access
        self._tell = tell

    @property
    def server(self) -> str | None:
        """The URL of the kernel's server, None for the local kernel."""
        return self._access.server

    async def client(self, transport: TransportName | None, poll_interval: float | None) -> object:
        """Return a client over the same way."""
        client = await self._access.client(transport, poll_interval)
        if isinstance(client, SessionClient):
            return SessionClient(ObservedTransport(client.transport, self._tell), backoff=client.backoff)
        return client


class ObservedTransport:
    """A transport that tells of what it carried."""

    def __init__(self, transport: Transport, tell: Tell) -> None:
        self._transport = transport
        self._tell = tell

    @property
    def name(self) -> TransportName:
        """The transport's own."""
        return self._transport.name

    async def request(self, command: SessionCommand) -> SessionAnswer:
        """Have one command done, then tell of it."""
        answer = await self._transport.request(command)
        if isinstance(command, CreateSession) and isinstance(answer, SessionCreated):
            session = answer.session
            await self._tell("session.created", {"sessionId": session.session_id, "type": session.type})
        elif isinstance(command, CloseSession):
            await self._tell("session.closed", {"sessionId": command.session_id})
        elif isinstance(command, InterruptSession):
            await self._tell("session.interrupted", {"sessionId": command.session_id})
        elif isinstance(command, RestartSession):
            await self._tell("session.restarted", {"sessionId": command.session_id})
        return answer

    async def attach(self, command: AttachSession) -> Channel:
        """Open a channel."""
        return await self._transport.attach(command)

    async def aclose(self) -> None:
        """Do nothing: the transport is the process's."""
