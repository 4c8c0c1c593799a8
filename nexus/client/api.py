"""The kernel's API for handlers: typed answers, and every failure as an error of ours."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter
from pydantic import ValidationError as ModelError

from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import (
    BackendError,
    BackendUnavailable,
    NexusError,
    OutcomeUnknown,
    ReportedError,
    TimeoutExceeded,
)

if TYPE_CHECKING:
    import httpx

Result = TypeVar("Result")

LOCAL_URL = "http://kernel.local"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(result: type[Result]) -> TypeAdapter[Result]:
    if result not in _adapters:
        _adapters[result] = TypeAdapter(result)
    return _adapters[result]


def _parameters(query: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in query.items()
        if value is not None
    }


class HttpApiClient:
    """One command's face of the API; the connections that `connect` gives are shared by many commands.

    Nothing is connected, and httpx is not imported, before the first call. `calls` tells what was asked, and how long
    each answer took.
    """

    def __init__(
        self,
        connect: "Callable[[], Awaitable[httpx.AsyncClient]]",
        *,
        request_id: str,
        traceparent: str,
        idempotency_key: str | None = None,
        token: str | None = None,
    ) -> None:
        self.calls: list[str] = []
        self._connect = connect
        self._idempotency_key = idempotency_key
        self._writes = 0
        self._headers = {"x-request-id": request_id, "traceparent": traceparent}
        if token:
            self._headers["authorization"] = f"Bearer {token}"

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
        if method not in _SAFE_METHODS:
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
        import httpx

        content = None
        if body is not None:
            content = body.model_dump_json(by_alias=True, exclude_unset=True).encode()
        headers = self._headers_for(method, content)
        client = await self._connect()
        begun = time.perf_counter()
        try:
            response = await client.request(
                method, _filled(path, at or {}), params=_parameters(query or {}), content=content, headers=headers
            )
        except httpx.HTTPError as error:
            raise _transport_error(error, method, str(client.base_url)) from error
        finally:
            self.calls.append(f"{method} {path} took {(time.perf_counter() - begun) * 1000:.1f} ms")
        if response.is_error:
            raise _reported(response)
        try:
            return _adapter(result).validate_json(response.content)
        except ModelError as error:
            raise BackendError.because(
                f"The kernel's answer to {method} {path} is not of the form that was agreed.",
                findings=error.error_count(),
            ) from error


def _filled(path: str, at: Mapping[str, str]) -> str:
    from urllib.parse import quote

    return path.format(**{name: quote(value, safe="", errors="surrogateescape") for name, value in at.items()})


def _transport_error(error: "httpx.HTTPError", method: str, server: str) -> NexusError:
    """Translate what httpx raises; a test holds this complete."""
    import httpx

    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        return BackendUnavailable.because(
            f"{server} cannot be reached: {error or type(error).__name__}.", server=server
        )
    if isinstance(error, httpx.UnsupportedProtocol | httpx.TooManyRedirects | httpx.DecodingError):
        return BackendError.because(f"{server} cannot be spoken to: {error}.", server=server)
    if method not in _SAFE_METHODS:
        return OutcomeUnknown.because(
            "The connection ended before the kernel answered: whether it did the work is not known.", server=server
        )
    if isinstance(error, httpx.TimeoutException):
        return TimeoutExceeded(seconds=30.0, server=server)
    return BackendUnavailable.because(
        f"The connection to {server} broke: {error or type(error).__name__}.", server=server
    )


def _reported(response: "httpx.Response") -> NexusError:
    try:
        entry = ErrorEntry.model_validate(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return BackendError.because(
            f"The server answered {response.status_code} and no error that can be read.",
            httpStatus=response.status_code,
        )
    return ReportedError(entry)


class Connections:
    """The httpx clients of a process, one a server, kept open between commands. Close it at the end."""

    def __init__(self) -> None:
        self._clients: dict[str, httpx.AsyncClient] = {}

    def client(self, server: str, transport: "httpx.AsyncBaseTransport | None" = None) -> "httpx.AsyncClient":
        """Return the client of a server; `transport` is how a new one reaches it."""
        import httpx

        if server not in self._clients:
            self._clients[server] = httpx.AsyncClient(
                base_url=server,
                transport=transport,
                timeout=httpx.Timeout(600.0, connect=10.0, pool=10.0),
                headers={"accept": "application/json"},
                trust_env=transport is None,
            )
        return self._clients[server]

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()
