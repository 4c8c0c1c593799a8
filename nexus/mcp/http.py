"""MCP over streamable HTTP, on a port that wants a token: whoever reaches it acts as the user who serves it."""

import asyncio
import hmac
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Receive, Scope, Send

from nexus.mcp.server import CommandServer
from nexus.output.render import json_line
from nexus.schemas.envelope import failure, new_request_id, success
from nexus.schemas.errors import AuthInvalid, ResourceUnavailable
from nexus.schemas.stream import STOP_STATUS, Lines, StopReason

PATH = "/mcp"
_GRACE_SECONDS = 1


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: this process serves others too, and the command is told of its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves until it is stopped. Its one line is an envelope that says where it serves and where the token is."""

    def __init__(self, commands: CommandServer, *, host: str, port: int, token: str, told: dict[str, str]) -> None:
        self._host = host
        self._port = port
        self._told = told
        allowed = [f"{name}:*" for name in {host, "127.0.0.1", "localhost", "[::1]"}]
        app = commands.server.streamable_http_app(
            streamable_http_path=PATH,
            transport_security=TransportSecuritySettings(
                enable_dns_rebinding_protection=True,
                allowed_hosts=allowed,
                allowed_origins=[f"http://{name}" for name in allowed],
            ),
        )
        config = uvicorn.Config(
            _WithToken(app, token), log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS
        )
        self._server = _Server(config)
        self._stopped: StopReason | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def exit_status(self) -> int:
        """What the reason to stop gives."""
        return STOP_STATUS[self._stopped] if self._stopped else 0

    async def __aiter__(self) -> AsyncIterator[Lines]:
        bound = self._bind()
        port = bound.getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._serving = asyncio.create_task(self._server.serve(sockets=[bound]))
        url = f"http://{host}:{port}{PATH}"
        envelope = success({"url": url, **self._told}, new_request_id(), f"Serving MCP at {url}.")
        yield Lines(json_line(envelope), 1)
        await self._serving

    def _bind(self) -> socket.socket:
        family = _family(self._host)
        try:
            made = socket.create_server((self._host, self._port), family=family, backlog=128)
        except OSError as error:
            raise ResourceUnavailable.because(
                f"{self._host}:{self._port} cannot be served at: {error.strerror}.",
                hint="nexus mcp serve --http --port 0",
            ) from error
        # asyncio sends at once (TCP_NODELAY) only where the socket names its protocol.
        return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach())

    def stop(self, reason: StopReason) -> None:
        """Take no more, and end what runs."""
        self._stopped = reason
        self._server.should_exit = True
        self._server.force_exit = True

    async def aclose(self) -> None:
        """End."""
        if self._serving is not None and not self._serving.done():
            self._server.should_exit = self._server.force_exit = True
            await asyncio.wait((self._serving,), timeout=_GRACE_SECONDS + 1)
            self._serving.cancel()


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _WithToken:
    """Refuses requests without the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        body = json_line(failure(AuthInvalid(hint="nexus help mcp serve").entries(), new_request_id()))
        headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})
