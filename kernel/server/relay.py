"""A WebSocket at a worker: its bytes go to the kernel's owner and back, unread, each end as slow as the other.

It stands where uvicorn would put a protocol of its own: it is given a connection whose request asked for an upgrade.
"""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.utils import get_remote_addr, is_ssl
from uvicorn.server import ServerState

from nexus.kernel.server.forward import PEER, peer

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
CONNECT_SECONDS = 10.0


class _End(asyncio.Protocol):
    """One end of a relay; what it hears goes to the other."""

    transport: asyncio.Transport
    other: "asyncio.Transport | None" = None

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.is_closing():
            self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- the interface's
        if self.other is not None:
            self.other.close()


class _OwnersEnd(_End):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        self.transport = transport


class RelayProtocol(_End):
    """The client's end, as uvicorn makes it."""

    socket = ""

    def __init__(
        self,
        config: Config,  # noqa: ARG002 -- as uvicorn makes it
        server_state: ServerState,
        app_state: dict[str, Any],  # noqa: ARG002 -- as uvicorn makes it
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._connections = server_state.connections
        self._tasks = server_state.tasks
        self._waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        self.transport = transport
        self._connections.add(self)  # type: ignore[arg-type]  # it has what uvicorn asks of one
        transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._waiting.append(data)
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Do nothing: the owner says goodbye to the client, through here."""

    async def _connect(self) -> None:
        connecting = asyncio.get_running_loop().create_unix_connection(_OwnersEnd, self.socket)
        try:
            other, end = await asyncio.wait_for(connecting, CONNECT_SECONDS)
        except (OSError, TimeoutError):
            self.transport.write(UNAVAILABLE)
            self.transport.close()
            return
        end.other = self.transport
        self.other = other
        if self.transport.is_closing():
            other.close()
            return
        line, _, rest = b"".join(self._waiting).partition(b"\r\n")
        self._waiting.clear()
        scheme = "https" if is_ssl(self.transport) else "http"
        told = peer(scheme, get_remote_addr(self.transport))
        other.write(b"%b\r\n%b: %b\r\n%b" % (line, PEER, told, rest))
        self.transport.resume_reading()


def relay_to(socket: str) -> type[RelayProtocol]:
    """Return the protocol of relays to the owner's socket."""
    return type("Relay", (RelayProtocol,), {"socket": socket})
