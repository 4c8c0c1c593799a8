"""HTTP and WebSocket on the resident's socket: the same kernel, for one-shot commands and whoever speaks its API."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn.config import Config
    from uvicorn.server import ServerState

_log = logging.getLogger(__name__)

_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class WebFace:
    """Hands connections to uvicorn's protocols. uvicorn is imported when the first one comes."""

    def __init__(self, app: "Callable[[], Awaitable[ASGIApp]]") -> None:
        self._app = app
        self._state: ServerState | None = None
        self._config: Config | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def live(self) -> int:
        """How many connections there are."""
        return len(self._opening) + (len(self._state.connections) if self._state is not None else 0)

    def take(self, transport: asyncio.Transport, data: bytes) -> None:
        """Serve a connection; `data` is what it has sent so far. One that comes at the end is cut: it tries again."""
        if self._closing:
            transport.abort()
            return
        transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._serve(transport, data))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _serve(self, transport: asyncio.Transport, data: bytes) -> None:
        try:
            app = await self._app()
            await asyncio.to_thread(_import)
        except Exception:  # noqa: BLE001 -- told to the client as 503, and to the log
            _log.exception("the kernel cannot be served")
            transport.write(_UNAVAILABLE)
            transport.close()
            return
        from uvicorn.protocols.http.h11_impl import H11Protocol

        config, state = self._settings(app)
        protocol = H11Protocol(config, state, {})
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)
        if not transport.is_closing():
            transport.resume_reading()

    def _settings(self, app: "ASGIApp") -> "tuple[Config, ServerState]":
        from uvicorn.config import Config
        from uvicorn.server import ServerState

        if self._config is None or self._state is None:
            from nexus.kernel.api.websocket import WebSocketProtocol

            # Our log is configured already, and a server's start and end are the resident's.
            self._config = Config(
                app, http="h11", ws=WebSocketProtocol, lifespan="off", log_config=None, access_log=False
            )
            self._config.load()
            self._state = ServerState()
        return self._config, self._state

    async def close(self, seconds: float) -> None:
        """Let requests under way finish, for so long at most; cut the others."""
        self._closing = True
        deadline = asyncio.get_running_loop().time() + seconds
        if self._opening:
            await asyncio.wait(self._opening, timeout=seconds)
        if self._state is None:
            return
        for connection in list(self._state.connections):
            connection.shutdown()
        while self._state.connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 -- uvicorn's set
            await asyncio.sleep(0.02)
        for connection in list(self._state.connections):
            if connection.transport is not None:
                connection.transport.abort()


def _import() -> None:

    import nexus.kernel.api.websocket  # noqa: F401 -- read into the cache of modules
