"""The ways of the Session ABI: to the local kernel by its provider, to a server by WebSocket with polling behind it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nexus.schemas.command import Configuration
from nexus.schemas.errors import ValidationError
from nexus.schemas.session import TransportName

if TYPE_CHECKING:
    import httpx

    from nexus.client.bearer import Bearer
    from nexus.client.provider import KernelProvider
    from nexus.sessions.client import SessionClient
    from nexus.sessions.outbound import Outbound
    from nexus.sessions.transport import Transport


@dataclass(frozen=True, slots=True)
class Signed:
    """What signs in: `who` tells one from another, and no two share a connection."""

    who: str
    bearer: "Bearer | None"

    async def headers(self) -> Mapping[str, str]:
        """Return what goes with a connection now."""
        token = await self.bearer.token() if self.bearer is not None else None
        return {"authorization": f"Bearer {token}"} if token else {}


class SessionWays:
    """The transports of a process, kept open between commands. Close it at the end."""

    def __init__(self, kernel: "KernelProvider") -> None:
        self._kernel = kernel
        self._open: dict[tuple[str | None, str, TransportName, float | None, Outbound | None], Transport] = {}

    async def transport(
        self,
        server: str | None,
        signed: Signed,
        name: TransportName | None,
        poll_interval: float | None,
        connect: "Callable[[], Awaitable[httpx.AsyncClient]]",
        outbound: "Outbound | None" = None,
    ) -> "Transport":
        """Return the way to a server, or to the local kernel where `server` is None. Raises `ValidationError`."""
        name = name or ("local" if server is None else "hybrid")
        if server is not None and name == "local":
            raise ValidationError.because("The local transport reaches no server.", field="transport")
        key = (server, signed.who, name, poll_interval, outbound)
        if key not in self._open:
            if name == "polling":
                from nexus.sessions.polling import PollingTransport

                self._open[key] = PollingTransport(await connect(), headers=signed.headers, interval=poll_interval)
            elif server is None:
                self._open[key] = await self._kernel.session_transport(name)
            else:
                self._open[key] = _remote(server, signed, name, await connect(), outbound)
        return self._open[key]

    async def close(self) -> None:
        """Close every way."""
        for transport in self._open.values():
            await transport.aclose()
        self._open.clear()


def _remote(
    server: str, signed: Signed, name: TransportName, http: "httpx.AsyncClient", outbound: "Outbound | None"
) -> "Transport":
    from nexus.sessions.hybrid import HybridTransport
    from nexus.sessions.outbound import DIRECT
    from nexus.sessions.polling import PollingTransport
    from nexus.sessions.websocket import WebSocketTransport

    url = "ws" + server.removeprefix("http").rstrip("/") + "/kernel"
    websocket = WebSocketTransport(url, headers=signed.headers, outbound=outbound or DIRECT)
    if name == "websocket":
        return websocket
    return HybridTransport(websocket, PollingTransport(http, headers=signed.headers))


class CommandSessions:
    """One command's way to sessions, over the transports that its process keeps."""

    def __init__(
        self,
        ways: SessionWays,
        server: str | None,
        signed: Signed,
        config: Configuration,
        connect: "Callable[[], Awaitable[httpx.AsyncClient]]",
        outbound: "Outbound | None" = None,
    ) -> None:
        self._ways = ways
        self._server = server
        self._signed = signed
        self._config = config
        self._connect = connect
        self._outbound = outbound

    async def client(self, transport: TransportName | None, poll_interval: float | None) -> "SessionClient":
        """Return a client. Raises `ValidationError`, and what reaching the kernel raises."""
        from nexus.sessions.client import SessionClient

        configured: TransportName | None = self._config.get("session.transport").value
        interval_ms: float | None = self._config.get("session.poll_interval").value
        interval = poll_interval if poll_interval is not None or interval_ms is None else interval_ms / 1000
        name = transport or configured
        way = await self._ways.transport(self._server, self._signed, name, interval, self._connect, self._outbound)
        return SessionClient(way)
