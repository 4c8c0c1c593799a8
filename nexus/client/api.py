"""The kernel's API for handlers: typed answers, and every failure as an error of ours."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, TypeAdapter
from pydantic import ValidationError as ModelError

from nexus.client.way import SAFE_METHODS, Reply, Request, Way
from nexus.schemas.errors import BackendError

if TYPE_CHECKING:
    from nexus.client.bearer import Bearer

Result = TypeVar("Result")

HTTP_ERROR = 400
UNAUTHORIZED = 401

UNSIGNED = frozenset({"/api/auth/login", "/api/auth/register", "/api/auth/refresh"})
"""What is asked for by who has no token yet: an old one must not stand in the way."""

_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(result: type[Result]) -> TypeAdapter[Result]:
    if result not in _adapters:
        _adapters[result] = TypeAdapter(result)
    return _adapters[result]


class HttpApiClient:
    """One command's face of the API; the way that `connect` gives is shared by many commands.

    Nothing is connected before the first call. `calls` tells what was asked, and how long
    each answer took.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Way]],
        *,
        request_id: str,
        traceparent: str,
        idempotency_key: str | None = None,
        bearer: "Callable[[], Bearer | None]" = lambda: None,
    ) -> None:
        self.calls: list[str] = []
        self._connect = connect
        self._idempotency_key = idempotency_key
        self._writes = 0
        self._headers = {"accept": "application/json", "x-request-id": request_id, "traceparent": traceparent}
        self._bearer_of = bearer

    async def get(
        self,
        path: str,
        result: type[Result],
        *,
        at: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Result:
        """Read."""
        return await self._call("GET", path, result, at=at, query=query)

    async def post(
        self, path: str, result: type[Result], *, at: Mapping[str, str] | None = None, body: BaseModel | None = None
    ) -> Result:
        """Create, or do."""
        return await self._call("POST", path, result, at=at, body=body)

    async def patch(
        self, path: str, result: type[Result], *, at: Mapping[str, str] | None = None, body: BaseModel | None = None
    ) -> Result:
        """Change what the body names."""
        return await self._call("PATCH", path, result, at=at, body=body)

    async def put(
        self, path: str, result: type[Result], *, at: Mapping[str, str] | None = None, body: BaseModel | None = None
    ) -> Result:
        """Replace."""
        return await self._call("PUT", path, result, at=at, body=body)

    async def delete(
        self,
        path: str,
        result: type[Result],
        *,
        at: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Result:
        """Delete."""
        return await self._call("DELETE", path, result, at=at, query=query)

    def _headers_for(self, method: str, body: bytes | None) -> dict[str, str]:
        headers = dict(self._headers)
        if body is not None:
            headers["content-type"] = "application/json"
        if method not in SAFE_METHODS:
            # A command may write more than once: each of its writes has a key of its own, the same at every try.
            key = self._idempotency_key or secrets.token_hex(16)
            headers["idempotency-key"] = f"{key}-{self._writes}" if self._writes else key
            self._writes += 1
        return headers

    async def _call(
        self,
        method: str,
        path: str,
        result: type[Result],
        *,
        at: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
    ) -> Result:
        content = None
        if body is not None:
            content = body.model_dump_json(by_alias=True, exclude_unset=True).encode()
        headers = self._headers_for(method, content)
        way = await self._connect()
        begun = time.perf_counter()
        try:
            request = Request(method, _target(path, at, query), headers, content)
            reply = await self._signed(way, request, None if path in UNSIGNED else self._bearer_of())
        finally:
            self.calls.append(f"{method} {path} took {(time.perf_counter() - begun) * 1000:.1f} ms")
        if reply.status >= HTTP_ERROR:
            from nexus.client.refusals import refusal  # few answers are one

            raise refusal(reply, way.name)
        try:
            return _adapter(result).validate_json(reply.body)
        except ModelError as error:
            raise BackendError.because(
                f"The kernel's answer to {method} {path} is not of the form that was agreed.",
                findings=error.error_count(),
            ) from error

    async def _signed(self, way: Way, request: Request, bearer: "Bearer | None") -> Reply:
        """Send, signed, and once more with a new token where the one that was sent is not taken any more."""
        token = await bearer.token() if bearer is not None else None
        if bearer is None or token is None:
            return await way.send(request)
        reply = await way.send(_with(request, token))
        if reply.status != UNAUTHORIZED:
            return reply
        other = await bearer.renewed(token)
        return reply if other is None else await way.send(_with(request, other))


def _with(request: Request, token: str) -> Request:
    return request._replace(headers={**request.headers, "authorization": f"Bearer {token}"})


def _target(path: str, at: Mapping[str, str] | None, query: Mapping[str, Any] | None) -> str:
    """Return the path with its values, and the query behind it, quoted."""
    if at:
        path = path.format(**{name: quote(value, safe="", errors="surrogateescape") for name, value in at.items()})
    given = [(name, _written(value)) for name, value in query.items() if value is not None] if query else []
    return f"{path}?{urlencode(given)}" if given else path


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
