"""The server process of a kernel: uvicorn, with a bound on how long a request's head may take, and an end in time."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from nexus.kernel.api.websocket import WebSocketProtocol
from nexus.kernel.server.options import ServerOptions
from nexus.schemas.errors import ConfigInvalid, ResourceUnavailable
from nexus.schemas.regular import open_regular

GRACE_SECONDS = 1.0
"""How long requests under way may take to end when the server stops; then they are cut."""
BACKLOG = 512
AT_ONCE = 4
"""So many connections are taken at a time where other processes take from the same socket: so all get some."""
CORKED_BYTES = 16 * 1024
MOST_CONNECTIONS = 4096
HEAD_BYTES = 64 * 1024


class Corked:
    """A transport that sends what is written within one turn of the event loop at once.

    uvicorn writes an answer's head and its body each for itself: two calls of the system, and two packets.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.whole = transport
        self.is_closing = transport.is_closing
        self._held: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def write(self, data: bytes) -> None:
        """Hold data until the turn ends, or at once where it is large."""
        if not data:
            return
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        if len(data) > CORKED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            held, self._held = self._held, []
            self.whole.write(held[0] if len(held) == 1 else b"".join(held))

    def close(self) -> None:
        """Close behind what is held."""
        self.flush()
        self.whole.close()


class BoundedProtocol(H11Protocol):
    """Ends a connection whose request's head does not come in time; uvicorn itself waits for ever."""

    head_seconds = 15.0

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", Corked(transport))
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._slow is None and self._is_idle():
            self._wait_for_head()
        super().data_received(data)
        if not self._is_idle():
            self._head_is_there()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._head_is_there()
        if isinstance(self.transport, Corked):
            self.transport.flush()
            self.transport = self.transport.whole
        super().handle_websocket_upgrade(event)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._slow = self.loop.call_later(self.head_seconds, self._cut)

    def _head_is_there(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _cut(self) -> None:
        if self._is_idle():
            self.transport.abort()


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers: whoever started the command hears of the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            # How many are taken at a time says nothing of how many may wait.
            listening.listen(BACKLOG)


class Server:
    """Serves an app on a socket that listens already. With `tls` it speaks nothing else."""

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        options: ServerOptions,
        tls: tuple[Path, Path] | None = None,
        *,
        websockets: type[asyncio.Protocol] = WebSocketProtocol,
        connections: int = MOST_CONNECTIONS,
        proxies: tuple[str, ...] = (),
        shared: bool = False,
    ) -> None:
        """`shared` says that other processes take connections from the same socket."""
        protocol = type("Protocol", (BoundedProtocol,), {"head_seconds": options.head_seconds})
        config = Config(
            app,
            http=protocol,
            ws=websockets,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            limit_concurrency=connections,
            h11_max_incomplete_event_size=HEAD_BYTES,
            backlog=AT_ONCE if shared else BACKLOG,
            timeout_graceful_shutdown=GRACE_SECONDS,  # type: ignore[arg-type]  # a number of seconds is all it wants
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
        config.load()
        self._server = _Uvicorn(config)
        self._listening = listening

    async def serve(self) -> None:
        """Serve until it is stopped; whatever is still open then is cut."""
        try:
            await self._server.serve(sockets=[self._listening])
        finally:
            # Who is cancelled has not shut down. The loop would hold the descriptor for watched when another has it.
            for listening in getattr(self._server, "servers", ()):
                listening.close()
            self._listening.close()
            for connection in list(self._server.server_state.connections):
                transport = getattr(connection, "transport", None)
                if transport is not None:
                    transport.abort()

    def stop(self) -> None:
        """Take no more; end what is under way within `GRACE_SECONDS`."""
        self._server.should_exit = True


class NetworkServer(Server):
    """Listens on one address from its making on, and serves an app there. Raises `ResourceUnavailable`."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        options: ServerOptions,
        tls: tuple[Path, Path] | None = None,
        *,
        shared: bool = False,
    ) -> None:
        if tls is not None:
            check_tls(*tls)
        self.listening = bound(host, port)
        super().__init__(app, self.listening, options, tls, proxies=options.proxies, shared=shared)
        scheme = "https" if tls else "http"
        name = f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{name}:{self.listening.getsockname()[1]}"


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises `ResourceUnavailable` where none can be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ResourceUnavailable.because(
            f"{host}:{port} cannot be served at: {os.strerror(error.errno) if error.errno else error}.",
            hint="nexus serve --port 0",
        ) from error
    # asyncio sends at once (TCP_NODELAY) only where the socket names its protocol. Without, an answer's body waits for
    # the acknowledgement of its head: 40 ms a request.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach())


def check_tls(certificate: Path, key: Path) -> None:
    """Raise `ConfigInvalid` unless the two files are a certificate and its key."""
    try:
        for path in (certificate, key):
            # OpenSSL would wait for the writer of a pipe.
            open_regular(path).close()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:
        raise ConfigInvalid.because(
            f"{certificate} and {key} are no certificate and its key: {error.strerror or error}.",
            hint="nexus help serve",
        ) from error
