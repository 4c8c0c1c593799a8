"""The polling transport: plain HTTP requests, for where no WebSocket passes."""

import asyncio
from collections.abc import Mapping
from typing import TypeVar, assert_never
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter
from pydantic import ValidationError as ModelError

from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import ReportedError
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
from nexus.sessions.transport import Heartbeat, Joined, TransportLost

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
        self, client: httpx.AsyncClient, *, headers: Mapping[str, str] | None = None, interval: float | None = None
    ) -> None:
        self._client = client
        self._headers = dict(headers or {})
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
        joined = Joined(
            session=Session.model_validate(session.model_dump()),
            epoch=_number(first, "nexus-epoch"),
            after=_number(first, "nexus-after"),
            oldest=_number(first, "nexus-oldest"),
            newest=_number(first, "nexus-newest"),
        )
        return PollingChannel(self, command.session_id, joined, first)

    async def aclose(self) -> None:
        """Do nothing: the client is another's."""

    async def poll(self, session_id: str, query: Mapping[str, str | int | float]) -> httpx.Response:
        """Ask for a piece of the stream."""
        return await self.call("GET", _path(session_id, "events"), query=query, accept="application/x-ndjson")

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | float] | None = None,
        content: bytes | None = None,
        accept: str = "application/json",
        key: str | None = None,
    ) -> httpx.Response:
        """Make one request. Raises the kernel's error, and TransportLost."""
        headers = {**self._headers, "accept": accept}
        if key is not None:
            headers["idempotency-key"] = key
        if content is not None:
            headers["content-type"] = "application/json"
        try:
            response = await self._client.request(
                method, path, params=dict(query or {}), content=content, headers=headers, timeout=READ_SECONDS
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TransportLost(f"the server cannot be reached: {error or type(error).__name__}", sent=False) from error
        except httpx.HTTPError as error:
            raise TransportLost(f"the connection broke: {error or type(error).__name__}") from error
        if response.is_error:
            raise _reported(response)
        return response

    async def _post(self, path: str, answer: type[Answer], body: BaseModel | None, key: str | None) -> Answer:
        content = None if body is None else body.model_dump_json(by_alias=True, exclude_none=True).encode()
        return _read(await self.call("POST", path, content=content, key=key), answer)


class PollingChannel:
    """One attachment: a poll at a time, each behind the one before it."""

    def __init__(self, transport: PollingTransport, session_id: str, joined: Joined, first: httpx.Response) -> None:
        self.joined = joined
        self._transport = transport
        self._session_id = session_id
        self._after = joined.after
        self._first: httpx.Response | None = first
        self._ended = False

    async def receive(self) -> Batch | Heartbeat:
        response, self._first = self._first, None
        if response is None:
            response = await self._next()
        last, newest = _number(response, "nexus-last"), _number(response, "nexus-newest")
        if last == self._after:
            if self._transport.interval is not None:
                await asyncio.sleep(self._transport.interval)
            return Heartbeat(newest)
        batch = Batch(
            _number(response, "nexus-epoch"),
            self._after + 1,
            last,
            response.content,
            response.headers.get("nexus-end") == "true",
        )
        try:
            batch.check()
        except ValueError as error:
            raise TransportLost(f"the answer is not whole: {error}") from error
        self._after = last
        return batch

    async def consumed(self, seq: int) -> None:
        """Do nothing: the next poll tells."""

    async def aclose(self) -> None:
        """Do nothing: between polls nothing is open."""

    async def _next(self) -> httpx.Response:
        wait = WAIT_SECONDS if self._transport.interval is None else 0
        return await self._transport.poll(
            self._session_id, {"epoch": self.joined.epoch, "after": self._after, "wait": wait}
        )


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
