"""One request on its way: what is known of it, and how it is answered or refused before any route is asked."""

import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.types import Message, Receive, Scope, Send

from nexus.kernel.api.failure import error_body, http_status, refusal_headers
from nexus.kernel.caller import ANONYMOUS, Caller
from nexus.schemas.envelope import new_request_id
from nexus.schemas.errors import AuthInvalid, NexusError, ValidationError

IN_URL = frozenset({"access_token", "token", "api_key", "apikey", "authorization", "refresh_token", "password"})
"""What must not stand in a URL, which proxies and histories keep."""


@dataclass(slots=True)
class Exchange:
    """One request on its way: what the access log tells of it."""

    scope: Scope
    headers: dict[bytes, bytes]
    request_id: str
    begun: float = field(default_factory=time.perf_counter)
    caller: Caller = ANONYMOUS
    status: int = 0
    sent: int = 0
    code: str | None = None

    @property
    def address(self) -> str | None:
        """Where the connection comes from."""
        client = self.scope.get("client")
        return client[0] if client else None


def bearer_of(headers: dict[bytes, bytes]) -> str | None:
    """Return the bearer token. Raises `AuthInvalid` for credentials of another kind."""
    given = headers.get(b"authorization")
    if given is None:
        return None
    kind, _, token = given.decode("latin-1").partition(" ")
    if kind.casefold() != "bearer" or not token.strip():
        raise AuthInvalid.because("This server takes bearer tokens only.")
    return token.strip()


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """Return the id that the client gave, where it can be one, else a new one."""
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    if given and len(given) <= 200 and given.isascii() and given.isprintable():
        return given
    return new_request_id()


def refuse_secrets(query: bytes) -> None:
    """Raise `ValidationError` for a query that holds what must not stand in a URL."""
    for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=1000):
        if name.casefold() in IN_URL:
            raise ValidationError.because(
                f"{name} must not stand in a URL, which others keep: send a header.", field=name
            )


def counted(exchange: Exchange, send: Send, more: list[tuple[bytes, bytes]]) -> Send:
    """Return a `send` that notes what is answered, and adds `more` headers."""

    async def counting(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff"), *more]
        elif message["type"] == "http.response.body":
            exchange.sent += len(message.get("body", b""))
        await send(message)

    return counting


async def answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send one whole answer."""
    sized = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": sized})
    await send({"type": "http.response.body", "body": body})


async def refuse(exchange: Exchange, send: Send, error: NexusError) -> None:
    """Answer with an error, and note its code."""
    entry = error.entry()
    exchange.code = entry.code
    headers = {"content-type": "application/json", "x-request-id": exchange.request_id, **refusal_headers(entry)}
    await answer(send, http_status(entry), error_body(entry), _encoded(headers))


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


async def refuse_handshake(scope: Scope, receive: Receive, send: Send, error: NexusError, status: int) -> None:
    """Answer a WebSocket's handshake with an error, where the server can; else close it."""
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 4403})
        return
    entry = error.entry()
    body = error_body(entry)
    headers = {"content-type": "application/json", "content-length": str(len(body)), **refusal_headers(entry)}
    await send({"type": "websocket.http.response.start", "status": status, "headers": _encoded(headers)})
    await send({"type": "websocket.http.response.body", "body": body})
