"""The app as a network reaches it: bounds, origins and the caller are settled here, before any route is asked.

What a request may do is not decided here, but where its operation is. This face says who asks, and without its word the
app behind it permits nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from nexus.kernel.accounts.access import Access
from nexus.kernel.api.failure import http_status
from nexus.kernel.caller import ANEW_KEY, ANONYMOUS, OPERATION_KEY, SCOPE_KEY, Caller, require
from nexus.kernel.server.exchange import (
    Exchange,
    answer,
    bearer_of,
    counted,
    refuse,
    refuse_handshake,
    refuse_secrets,
    request_id_of,
)
from nexus.kernel.server.limits import RateLimit
from nexus.kernel.server.metrics import CONTENT_TYPE, Metrics
from nexus.kernel.server.options import SLOWEST_BYTES, ServerOptions
from nexus.schemas.errors import (
    AuthError,
    AuthInvalid,
    BackendUnavailable,
    NexusError,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    RequestSlow,
    RequestTooLarge,
)

MOST_QUERY = 16 * 1024
LARGE = ("/api/data/", "/blobs/")
"""Where bytes pass through to a store, which has bounds of its own."""
ALLOWED_HEADERS = "authorization, content-type, idempotency-key, traceparent, x-request-id"
ALLOWED_METHODS = "GET, POST, PUT, PATCH, DELETE"
LAST_SECONDS = 0.5
"""So long requests under way may go on once the server is about to end."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

Told = Callable[[dict[str, Any]], None]
"""Takes one line of the access log. Never blocks."""


class Bound(Protocol):
    """How much a caller may ask."""

    def take(self, caller: str) -> float:
        """Take one request of a caller; return 0, or the seconds after which there is one again."""
        ...


class NetworkFace:
    """An ASGI app around the kernel's own. `whole` is set where other processes count too: it adds them up."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        options: ServerOptions,
        log: Told,
        state: Callable[[], tuple[int, dict[str, int]]],
        rate: Bound | None = None,
    ) -> None:
        """`state` tells the memory and what is live, for the metrics; `rate` bounds callers over several processes."""
        self.metrics = Metrics()
        self.whole: Callable[[], Awaitable[tuple[Metrics, list[str]]]] | None = None
        self._app = app
        self._access = access
        self._options = options
        self._log = log
        self._state = state
        self._rate = rate or RateLimit(options.minute_rate)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._ending = False

    def end(self) -> None:
        """Answer soon what is still under way: the server is about to end, and who waits learns that it does."""
        self._ending = True
        asyncio.get_running_loop().call_later(LAST_SECONDS, self._cut)

    def _cut(self) -> None:
        for task in self._under_way:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        headers = dict(scope["headers"])
        exchange = Exchange(scope, headers, request_id_of(headers))
        # The app answers under the id that the access log tells.
        rest = [(name, value) for name, value in scope["headers"] if name != b"x-request-id"]
        scope["headers"] = [*rest, (b"x-request-id", exchange.request_id.encode())]
        try:
            if scope["type"] == "http":
                await self._http(exchange, receive, send)
            else:
                await self._websocket(exchange, receive, send)
        finally:
            self._tell(exchange)

    async def _http(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        scope = exchange.scope
        origin = exchange.headers.get(b"origin")
        more = self._cors(origin)
        send = counted(exchange, send, more)
        self.metrics.under_way += 1
        serving = asyncio.current_task()
        if serving is not None:
            self._under_way.add(serving)
        try:
            if scope["method"] == "OPTIONS" and origin is not None:
                await answer(send, 204 if more else 403, b"", [])
                return
            try:
                await self._admit(exchange)
                if scope["path"] == "/metrics":
                    await self._tell_metrics(exchange, send)
                    return
                receive = self._bounded(exchange, receive)
                await self._app(scope, receive, send)
            except NexusError as error:
                await refuse(exchange, send, error)
            except asyncio.CancelledError:
                if not self._ending or serving is None:
                    raise
                serving.uncancel()
                if not exchange.status:
                    await refuse(exchange, send, _stopping(scope["method"]))
        finally:
            self.metrics.under_way -= 1
            if serving is not None:
                self._under_way.discard(serving)

    async def _websocket(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        try:
            await self._admit(exchange)
            if exchange.caller.signed_in_by == "none":
                # It could do nothing but stay, and be refused as often as it likes: no rate bounds its commands.
                raise AuthError(server="This server")
        except NexusError as error:
            exchange.status = http_status(error.entry())
            exchange.code = error.code
            await refuse_handshake(exchange.scope, receive, send, error, exchange.status)
            return
        bearer = bearer_of(exchange.headers)

        async def anew() -> Caller:
            return await self._caller(bearer, exchange, connected=True)

        exchange.scope[ANEW_KEY] = anew
        exchange.status = 101
        self.metrics.sockets += 1
        watching = asyncio.current_task()
        guard = asyncio.create_task(self._until_barred(anew, watching))
        try:
            await self._app(exchange.scope, receive, send)
        except asyncio.CancelledError:
            if not guard.done():
                raise
            with suppress(RuntimeError):
                # The caller is nobody any more: the socket was closed for that, not by the server's end.
                await send({"type": "websocket.close", "code": 4401, "reason": "Signed out."})
        finally:
            self.metrics.sockets -= 1
            guard.cancel()

    async def _until_barred(self, anew: Callable[[], Awaitable[Caller]], serving: "asyncio.Task[Any] | None") -> None:
        """Look every few seconds whether the caller is still let in, and end the connection when not."""
        while True:
            await asyncio.sleep(self._options.barred_seconds)
            try:
                await anew()
            except AuthInvalid:
                if serving is not None:
                    serving.cancel()
                return

    async def _admit(self, exchange: Exchange) -> None:
        """Say who asks, within the bounds. Raises `RateLimited`, `AuthInvalid`, `PermissionDenied` and others."""
        scope, headers = exchange.scope, exchange.headers
        self._check_origin(scope, headers)
        query = scope.get("query_string", b"")
        if len(query) > MOST_QUERY:
            raise RequestTooLarge(limit=MOST_QUERY)
        if query:
            refuse_secrets(query)
        # By address first: who guesses tokens is nobody yet.
        if bearer_of(headers) is None:
            self._bound(f"address {exchange.address}")
        exchange.caller = await self._caller(bearer_of(headers), exchange)
        if exchange.caller.user_id is not None:
            self._bound(exchange.caller.user_id)
        scope[SCOPE_KEY] = exchange.caller

    async def _caller(self, bearer: str | None, exchange: Exchange, *, connected: bool = False) -> Caller:
        if bearer is None:
            return replace(ANONYMOUS, address=exchange.address)
        try:
            return await self._access.caller(bearer, exchange.address, connected=connected)
        except AuthInvalid:
            self._bound(f"address {exchange.address}")
            raise

    def _bound(self, place: str) -> None:
        waits = self._rate.take(place)
        if waits:
            self.metrics.refused["rate"] += 1
            raise RateLimited(retry_after_ms=int(waits * 1000) + 1)

    def _check_origin(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """A page of another place may not open sockets, nor change anything, unless it was named."""
        origin = headers.get(b"origin")
        if origin is None or (scope["type"] == "http" and scope["method"] in SAFE_METHODS):
            return
        told = origin.decode("latin-1")
        if told not in self._options.origins and told.partition("://")[2] != headers.get(b"host", b"").decode(
            "latin-1"
        ):
            self.metrics.refused["origin"] += 1
            raise PermissionDenied.because(
                "Pages of another origin may not ask here.", hint="nexus help serve", origin=told[:200]
            )

    def _cors(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        if origin is None or origin.decode("latin-1") not in self._options.origins:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", ALLOWED_METHODS.encode()),
            (b"access-control-allow-headers", ALLOWED_HEADERS.encode()),
            (b"access-control-expose-headers", b"retry-after, x-request-id"),
            (b"access-control-max-age", b"600"),
            (b"vary", b"origin"),
        ]

    def _bounded(self, exchange: Exchange, receive: Receive) -> Receive:
        """Bound the body's size, its silences, and its time: a byte now and then holds no connection for hours."""
        large = exchange.scope["path"].startswith(LARGE)
        limit = None if large else self._options.body_bytes
        length = exchange.headers.get(b"content-length", b"0")
        if limit is not None and length.isdigit() and int(length) > limit:
            self.metrics.refused["size"] += 1
            raise RequestTooLarge(limit=limit)
        size = 0
        whole = False
        patience = self._options.body_seconds
        clock = asyncio.get_running_loop().time
        begun = clock()

        async def bounded() -> Message:
            nonlocal size, whole
            if whole:
                # What comes now is the client's leaving, for which a poll may wait as long as it likes.
                return await receive()
            try:
                async with asyncio.timeout_at(patience + min(clock(), begun + size / SLOWEST_BYTES)):
                    message = await receive()
            except TimeoutError:
                self.metrics.refused["slow"] += 1
                raise RequestSlow(seconds=patience) from None
            if message["type"] == "http.request":
                size += len(message.get("body", b""))
                whole = not message.get("more_body", False)
                if limit is not None and size > limit:
                    self.metrics.refused["size"] += 1
                    raise RequestTooLarge(limit=limit)
            return message

        return bounded

    async def _tell_metrics(self, exchange: Exchange, send: Send) -> None:
        if not self._options.open_metrics:
            require(exchange.caller, "debug.kernel.metrics")
        memory, live = self._state()
        exchange.scope[OPERATION_KEY] = "debug.kernel.metrics"
        metrics, more = (self.metrics, []) if self.whole is None else await self.whole()
        await answer(send, 200, metrics.text(memory, live, more), [(b"content-type", CONTENT_TYPE.encode())])

    def _tell(self, exchange: Exchange) -> None:
        """Count the request and write it to the access log: the path alone, for a query may hold what it must not."""
        scope = exchange.scope
        seconds = time.perf_counter() - exchange.begun
        method = scope.get("method", "WEBSOCKET")
        operation = scope.get(OPERATION_KEY, "kernel.socket" if scope["type"] == "websocket" else "other")
        if scope["type"] == "http":
            self.metrics.answered(method if method in KNOWN_METHODS else "OTHER", operation, exchange.status, seconds)
        self._log(
            {
                "method": method,
                "path": scope["path"],
                "status": exchange.status,
                "code": exchange.code,
                "milliseconds": round(seconds * 1000, 3),
                "bytes": exchange.sent,
                "user": exchange.caller.name,
                "address": exchange.address,
                "operation": operation,
                "requestId": exchange.request_id,
            }
        )


KNOWN_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def trusting(app: ASGIApp, proxies: tuple[str, ...]) -> ASGIApp:
    """Return the app with the word of these proxies taken for a client's address."""
    if not proxies:
        return app
    trusted: Any = ProxyHeadersMiddleware(app, list(proxies))  # type: ignore[arg-type]  # uvicorn's types of ASGI
    return cast("ASGIApp", trusted)


def _stopping(method: str) -> NexusError:
    """Return what whoever waits at the end is told: what was cut off may have been done."""
    if method in SAFE_METHODS:
        return BackendUnavailable.because("The server is stopping.", retry_after_ms=1000)
    return OutcomeUnknown.because("The server is stopping: whether it did the work is not known.")
