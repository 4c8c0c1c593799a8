"""What a worker does not answer by itself goes to the process that owns the kernel, over a socket that is theirs alone.

The client's address and scheme go with it in a header, which is taken from nobody but who reaches that socket.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from nexus.kernel.api.endpoint import respond_error
from nexus.kernel.api.failure import http_status
from nexus.schemas.errors import BackendUnavailable, NexusError, OutcomeUnknown, RequestSlow

PEER = b"nexus-peer"
HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"expect"})
OWN = HOP_BY_HOP | {b"transfer-encoding", b"date"}
"""What the server that answers the client says by itself."""
IDLE_SECONDS = 2.0
"""Shorter than the owner keeps an idle connection: it never closes one that is about to be used."""
CONNECT_SECONDS = 10.0


class ClientGone(Exception):
    """The client left before it was answered."""


class Forward:
    """An ASGI app for HTTP: hands requests on by a pool of connections, bodies and answers as they come."""

    def __init__(self, socket: str, body_seconds: float) -> None:
        """`body_seconds` may pass without a byte of a request's body."""
        self._body_seconds = body_seconds
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=IDLE_SECONDS)
        self._transport = httpx.AsyncHTTPTransport(uds=socket, limits=limits)
        self._timeout = {"connect": CONNECT_SECONDS, "pool": CONNECT_SECONDS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive, self._body_seconds)
        working = asyncio.ensure_future(self._transport.handle_async_request(self._request(scope, body)))
        leaving = asyncio.ensure_future(body.left())
        try:
            await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                return
            response = working.result()
            try:
                await _relay(response, send)
            finally:
                await response.aclose()
        except ClientGone:
            return
        except RequestSlow as slow:
            await respond_error(send, 408, slow.entry(), scope)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            entry = BackendUnavailable.because("The kernel behind this server has gone.").entry()
            await respond_error(send, 503, entry, scope)
        except httpx.HTTPError:
            await _broken(scope, send, begun=working.done() and not working.exception())
        finally:
            for task in (working, leaving):
                task.cancel()
            await asyncio.wait((working, leaving))
            if not working.cancelled():
                working.exception()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def _request(self, scope: Scope, body: "_Body") -> httpx.Request:
        headers = [(name, value) for name, value in scope["headers"] if name not in HOP_BY_HOP and name != PEER]
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        client = scope.get("client")
        if not has_body:
            body.whole.set()
        return httpx.Request(
            scope["method"],
            "http://kernel/",
            headers=[*headers, (PEER, peer(scope["scheme"], client))],
            content=body.chunks() if has_body else None,
            extensions={"target": target, "timeout": self._timeout},
        )


class _Body:
    """A request's body as it comes, and after it the client's leaving."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self.whole = asyncio.Event()
        self._receive = receive
        self._seconds = seconds

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body. Raises `ClientGone`, `RequestSlow`."""
        more = True
        while more:
            try:
                async with asyncio.timeout(self._seconds):
                    message = await self._receive()
            except TimeoutError:
                # The owner cannot say so: it is not heard before the body is through.
                raise RequestSlow(seconds=self._seconds) from None
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]
        self.whole.set()

    async def left(self) -> None:
        """Wait until the client has gone."""
        await self.whole.wait()
        while (await self._receive())["type"] != "http.disconnect":  # noqa: ASYNC110 -- it waits in receive, not in sleep
            await asyncio.sleep(0)


async def _broken(scope: Scope, send: Send, *, begun: bool) -> None:
    """Say that the owner went away in between. An answer that had begun is left as it is: the server cuts it."""
    if begun:
        return
    told: type[NexusError] = BackendUnavailable if scope["method"] in ("GET", "HEAD", "OPTIONS") else OutcomeUnknown
    entry = told.because("The kernel behind this server ended before it answered.").entry()
    await respond_error(send, http_status(entry), entry, scope)


async def _relay(response: httpx.Response, send: Send) -> None:
    headers = [(name.lower(), value) for name, value in response.headers.raw]
    kept = [(name, value) for name, value in headers if name not in OWN]
    await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
    # What breaks from here on is cut at the client too: an answer that is not whole never looks whole.
    async for chunk in response.aiter_raw():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def peer(scheme: str, client: tuple[str, int] | None) -> bytes:
    """Return what the header says of a connection."""
    host, port = client or ("-", 0)
    return f"{scheme} {host} {port}".encode()


class FromWorkers:
    """The owner's end: the app as workers reach it, each request told to come from where it came from."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = [value for name, value in scope["headers"] if name == PEER]
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != PEER]
        with suppress(ValueError, IndexError):
            # A worker's own comes first, whatever its client sent.
            scheme, host, port = told[0].decode("latin-1").split(" ")
            scope["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
            scope["client"] = (host, int(port)) if host != "-" else None
        await self._app(scope, receive, send)
