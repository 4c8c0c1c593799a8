"""A way to the kernel's API: a request goes, its whole answer comes. Here the one to a kernel in this process.

It calls the ASGI app itself: what an HTTP client does to a request and its answer costs more than the kernel does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple, Protocol

App = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]
"""An ASGI app: scope, receive, send."""

Headers = list[tuple[bytes, bytes]]

LOCAL_URL = "http://kernel.local"
"""What the local kernel is called where a URL is wanted; nothing looks the name up."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Request(NamedTuple):
    """`target` is the path and the query, both quoted; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes | None = None


class Reply(NamedTuple):
    """An answer, whole."""

    status: int
    headers: Headers
    body: bytes


class Way(Protocol):
    """One way to one kernel."""

    name: str
    """What errors call the other end."""

    async def send(self, request: Request) -> Reply:
        """Send a request and return its answer, whatever its status.

        Raises `BackendUnavailable`, `OutcomeUnknown`, `TimeoutExceeded` or `BackendError` where there is none.
        """
        ...

    async def aclose(self) -> None: ...


class AppWay:
    """Calls an app of this process. What the app raises is raised."""

    name = "the local kernel"

    def __init__(self, app: App) -> None:
        self._app = app

    async def send(self, request: Request) -> Reply:
        """Run the app on the request."""
        path, _, query = request.target.partition("?")
        exchange = _Exchange(request.content or b"")
        await self._app(
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": request.method,
                "headers": [
                    (name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()
                ],
                "scheme": "http",
                "path": _unquoted(path),
                "raw_path": path.encode("ascii"),
                "query_string": query.encode("ascii"),
                "root_path": "",
                "server": ("kernel.local", None),
                "client": None,
            },
            exchange.receive,
            exchange.send,
        )
        return exchange.reply()

    async def aclose(self) -> None:
        """Do nothing: the app is another's."""


class _Exchange:
    """The two ends of one request that an app is given."""

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content
        self._status = 0
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._answered: asyncio.Event | None = None
        self._whole = False

    async def receive(self) -> MutableMapping[str, Any]:
        """Give the body, then wait: the client stays until it is answered."""
        if self._content is not None:
            content, self._content = self._content, None
            return {"type": "http.request", "body": content, "more_body": False}
        if not self._whole:
            self._answered = self._answered or asyncio.Event()
            await self._answered.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take a piece of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = list(message.get("headers", ()))
        else:
            self._body.append(message.get("body", b""))
            if not message.get("more_body", False):
                self._whole = True
                if self._answered is not None:
                    self._answered.set()

    def reply(self) -> Reply:
        """Return the answer."""
        if not self._whole:
            raise RuntimeError("the app ended without an answer")
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        return Reply(self._status, self._headers, body)


def _unquoted(path: str) -> str:
    if "%" not in path:
        return path
    from urllib.parse import unquote

    return unquote(path)
