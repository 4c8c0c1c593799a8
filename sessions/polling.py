"""The polling transport: plain HTTP requests, for where no WebSocket passes."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, assert_never
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter
from pydantic import ValidationError as ModelError

from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import ReportedError, SessionClosed
from nexus.schemas.page import Page
from nexus.schemas.protocol import (
    ActivateSession,
    AttachSession,
    CloseSession,
    CreateSession,
    InputTaken,
    InterruptSession,
    ListSessions,
    ResizeSession,
    RestartSession,
    SendInput,
    SessionAnswer,
    SessionChanged,
    SessionCommand,
    SessionCreated,
    SessionsListed,
    SessionViewed,
    ViewSession,
)
from nexus.schemas.session import InputAccepted, Session, SessionView, TransportName
from nexus.sessions.core.position import Batch
from nexus.sessions.transport import Headers, Heartbeat, Joined, TransportLost, no_headers

WAIT_SECONDS = 15.0
"""So long the kernel holds a poll back when there is nothing new."""
READ_SECONDS = 60.0

Answer = TypeVar("Answer")


class PollingTransport:
    """Speaks the kernel's routes by an httpx client, which stays the caller's.

    `interval` is the pause between polls in seconds; without one each poll waits at the kernel until something comes.
    """

    name: TransportName = "polling"

    def __init__(
        self, client: httpx.AsyncClient, *, headers: Headers = no_headers, interval: float | None = None
    ) -> None:
        self._client = client
        self._headers = headers
        self.interval = interval

    async def request(self, command: SessionCommand) -> SessionAnswer:
        action: str
        body: BaseModel | None = None
        match command:
            case CreateSession():
                made = await self._post("/api/sessions", Session, command.session, command.id)
                return SessionCreated(id=command.id, session=made)
            case ListSessions():
                query = command.query.model_dump(mode="json", by_alias=True, exclude_none=True)
                response = await self.call("GET", "/api/sessions", query=query)
                return SessionsListed(id=command.id, page=_read(response, Page[Session]))
            case ViewSession():
                response = await self.call("GET", _path(command.session_id))
                return SessionViewed(id=command.id, session=_read(response, SessionView))
            case SendInput():
                # Numbered: the kernel itself knows one that comes again.
                taken = await self._post(_path(command.session_id, "input"), InputAccepted, command.input, None)
                return InputTaken(id=command.id, input=taken)
            case InterruptSession():
                action = "interrupt"
            case ResizeSession():
                action, body = "resize", command.size
            case RestartSession():
                action, body = "restart", command.restart
            case ActivateSession():
                action = "activate"
            case CloseSession():
                action = "close"
            case _:
                assert_never(command)
        view = await self._post(_path(command.session_id, action), SessionView, body, command.id)
        return SessionChanged(id=command.id, session=view)

    async def attach(self, command: AttachSession) -> "PollingChannel":
        response = await self.call("GET", _path(command.session_id))
        session = _read(response, SessionView)
        place = {"epoch": command.epoch, "after": command.after, "tail": command.tail}
        first = await self.poll(command.session_id, {name: value for name, value in place.items() if value is not None})
        return PollingChannel(self, Session.model_validate(session.model_dump()), first)

    async def aclose(self) -> None:
        """Do nothing: the client is another's."""

    async def poll(self, session_id: str, query: Mapping[str, str | int | float]) -> "Piece":
        """Ask for a piece of the stream. Raises the kernel's error, and TransportLost when no whole line came."""
        headers = {**await self._headers(), "accept": "application/x-ndjson"}
        came: list[bytes] = []
        with _translated():
            async with self._client.stream(
                "GET", _path(session_id, "events"), params=dict(query), headers=headers, timeout=READ_SECONDS
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise _reported(response)
                try:
                    async for chunk in response.aiter_raw():
                        came.append(chunk)  # noqa: PERF401 -- what came before a break must be kept
                except httpx.HTTPError as error:
                    return _piece(response, b"".join(came), error)
        return _piece(response, b"".join(came), None)

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | float] | None = None,
        content: bytes | None = None,
        key: str | None = None,
    ) -> httpx.Response:
        """Make one request. Raises the kernel's error, and TransportLost."""
        headers = {**await self._headers(), "accept": "application/json"}
        if key is not None:
            headers["idempotency-key"] = key
        if content is not None:
            headers["content-type"] = "application/json"
        with _translated():
            response = await self._client.request(
                method, path, params=dict(query or {}), content=content, headers=headers, timeout=READ_SECONDS
            )
        if response.is_error:
            raise _reported(response)
        return response

    async def _post(self, path: str, answer: type[Answer], body: BaseModel | None, key: str | None) -> Answer:
        content = None if body is None else body.model_dump_json(by_alias=True, exclude_none=True).encode()
        return _read(await self.call("POST", path, content=content, key=key), answer)


@dataclass(frozen=True, slots=True)
class Piece:
    """What one poll brought: whole lines from behind `after` to `last`."""

    epoch: int
    after: int
    last: int
    oldest: int
    newest: int
    end: bool
    lines: bytes

    def batch(self) -> Batch | None:
        """Return the lines; None when there were none. Raises TransportLost when they are not as many as was told."""
        if self.last == self.after:
            return None
        batch = Batch(self.epoch, self.after + 1, self.last, self.lines, self.end)
        try:
            batch.check()
        except ValueError as error:
            raise TransportLost(f"the answer is not whole: {error}") from error
        return batch


class PollingChannel:
    """One attachment: a poll at a time, each behind the one before it."""

    def __init__(self, transport: PollingTransport, session: Session, first: Piece) -> None:
        self.joined = Joined(session, first.epoch, first.after, first.oldest, first.newest)
        self._transport = transport
        self._after = first.after
        self._first: Piece | None = first

    async def receive(self) -> Batch | Heartbeat:
        piece, self._first = self._first, None
        if piece is None:
            piece = await self._next()
        batch = piece.batch()
        if batch is None:
            if piece.end:
                raise SessionClosed(session_id=self.joined.session.session_id)
            if self._transport.interval is not None:
                await asyncio.sleep(self._transport.interval)
            return Heartbeat(piece.newest)
        self._after = batch.last
        return batch

    async def consumed(self, seq: int) -> None:
        """Do nothing: the next poll tells."""

    async def aclose(self) -> None:
        """Do nothing: between polls nothing is open."""

    async def _next(self) -> Piece:
        wait = WAIT_SECONDS if self._transport.interval is None else 0
        return await self._transport.poll(
            self.joined.session.session_id, {"epoch": self.joined.epoch, "after": self._after, "wait": wait}
        )


def _piece(response: httpx.Response, came: bytes, broken: httpx.HTTPError | None) -> Piece:
    """Read an answer. Of one that broke off, the lines that came whole count: a bad line still brings on."""
    after, last = _number(response, "nexus-after"), _number(response, "nexus-last")
    end = response.headers.get("nexus-end") == "true"
    if broken is not None:
        came = came[: came.rfind(b"\n") + 1]
        whole = after + came.count(b"\n")
        if whole == after:
            raise TransportLost(f"the connection broke: {broken or type(broken).__name__}") from broken
        last, end = whole, end and whole == last
    return Piece(
        _number(response, "nexus-epoch"),
        after,
        last,
        _number(response, "nexus-oldest"),
        _number(response, "nexus-newest"),
        end,
        came,
    )


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what httpx raises into TransportLost."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise TransportLost(f"the server cannot be reached: {error or type(error).__name__}", sent=False) from error
    except httpx.HTTPError as error:
        raise TransportLost(f"the connection broke: {error or type(error).__name__}") from error


def _path(session_id: str, action: str | None = None) -> str:
    path = f"/api/sessions/{quote(session_id, safe='')}"
    return f"{path}/{action}" if action else path


def _number(response: httpx.Response, name: str) -> int:
    try:
        return int(response.headers[name])
    except (KeyError, ValueError) as error:
        raise TransportLost(f"the answer does not tell its {name}") from error


def _read(response: httpx.Response, answer: type[Answer]) -> Answer:
    try:
        return TypeAdapter(answer).validate_json(response.content)
    except ModelError as error:
        raise TransportLost(f"the answer cannot be read: {error.error_count()} findings") from error


def _reported(response: httpx.Response) -> ReportedError | TransportLost:
    try:
        return ReportedError(ErrorEntry.model_validate(response.json()["error"]))
    except (ValueError, KeyError, TypeError):
        return TransportLost(f"the server answered {response.status_code} and no error that can be read")
