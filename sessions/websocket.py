"""The WebSocket transport: one connection for all requests and channels, over TCP or a Unix socket."""

import asyncio
import json
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import pydantic
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import AuthInvalid, NexusError, ReportedError
from nexus.schemas.protocol import (
    AttachmentFailed,
    AttachSession,
    DetachSession,
    KernelCommand,
    KernelEvent,
    LinesConsumed,
    Pong,
    Refused,
    SessionAnswer,
    SessionAttached,
    SessionCommand,
    SessionDetached,
    SessionHeartbeat,
    SessionLines,
    events,
)
from nexus.schemas.session import TransportName
from nexus.sessions.core.position import Batch
from nexus.sessions.outbound import CONNECT_SECONDS, DIRECT, Outbound
from nexus.sessions.transport import (
    DEFAULT_WINDOW,
    Headers,
    Heartbeat,
    Joined,
    TransportLost,
    TransportUnusable,
    no_headers,
)

ANSWER_SECONDS = 60.0
PING_SECONDS = 20.0
MOST_MESSAGE_BYTES = 8 * 1024 * 1024
CONSUMED_SHARE = 4
"""A reader tells what it consumed each time a window's quarter is through: the lines keep coming meanwhile."""


class WebSocketTransport:
    """Speaks the kernel's protocol at `url` (`ws://…/kernel`); over the Unix socket `socket` where one is given.

    It connects when it is first used, and again after the connection broke. The handshake carries what `headers`
    gives then; a network is crossed as `outbound` says.
    """

    name: TransportName = "websocket"

    def __init__(
        self,
        url: str,
        *,
        socket: Path | None = None,
        headers: Headers = no_headers,
        outbound: Outbound = DIRECT,
    ) -> None:
        self._url = url
        self._socket = socket
        self._headers = headers
        self._outbound = outbound
        self._connection: _Connection | None = None
        self._turn = asyncio.Lock()

    async def request(self, command: SessionCommand) -> SessionAnswer:
        connection = await self._connected()
        answer = await connection.ask(command)
        if isinstance(answer, SessionAttached | SessionDetached | Pong | Refused):
            raise TransportLost(f"the kernel answered {command.type} with {answer.type}")
        return answer

    async def attach(self, command: AttachSession) -> "WebSocketChannel":
        connection = await self._connected()
        window = command.window or DEFAULT_WINDOW
        answer = await connection.ask(command.model_copy(update={"window": window}))
        if not isinstance(answer, SessionAttached):
            raise TransportLost(f"the kernel answered {command.type} with {answer.type}")
        return connection.channel(answer, window)

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.aclose()

    async def _connected(self) -> "_Connection":
        async with self._turn:
            if self._connection is None or self._connection.lost is not None:
                self._connection = _Connection(await self._connect())
            return self._connection

    async def _connect(self) -> ClientConnection:
        headers = await self._headers()
        place: dict[str, Any] = {"proxy": None, "unix": True, "path": str(self._socket)}
        if self._socket is None:
            trusted = await asyncio.to_thread(self._outbound.certificates, self._url)
            place = {"proxy": self._outbound.proxy(self._url), "ssl": trusted}
        try:
            return await connect(
                self._url,
                additional_headers=headers,
                open_timeout=CONNECT_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                close_timeout=2,
                max_size=MOST_MESSAGE_BYTES,
                # Lines are copied, never recoded: deflate would cost more than the way.
                compression=None,
                **place,
            )
        except InvalidHandshake as error:
            refused = _refusal(error)
            if refused is not None:
                raise refused from error
            raise TransportUnusable(f"{self._url} takes no WebSocket: {error}") from error
        except InvalidURI as error:
            raise TransportUnusable(str(error)) from error
        except (OSError, TimeoutError) as error:
            raise TransportLost(
                f"{self._url} cannot be reached: {error or type(error).__name__}", sent=False
            ) from error


def _refusal(error: InvalidHandshake) -> NexusError | None:
    """Return what the kernel refused the handshake for, None when it was no kernel, or takes no WebSocket."""
    response = getattr(error, "response", None)
    if response is None:
        return None
    try:
        return ReportedError(ErrorEntry.model_validate(json.loads(response.body)["error"]))
    except (AttributeError, ValueError, KeyError, TypeError):
        return AuthInvalid() if getattr(response, "status_code", None) == 401 else None


class _Connection:
    """One connection: answers by the command's id, lines by the attachment's number."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.lost: TransportLost | None = None
        self._websocket = websocket
        self._answers: dict[str, asyncio.Future[KernelEvent]] = {}
        self._channels: dict[int, WebSocketChannel] = {}
        self._early: dict[int, list[Batch | Heartbeat | NexusError]] = {}
        self._listener = asyncio.create_task(self._listen())

    async def ask(self, command: KernelCommand) -> "SessionAnswer | SessionAttached | SessionDetached | Pong":
        """Send a command and wait for its answer. Raises its error, and TransportLost."""
        answer: asyncio.Future[KernelEvent] = asyncio.get_running_loop().create_future()
        self._answers[command.id] = answer
        try:
            await self.tell(command)
            async with asyncio.timeout(ANSWER_SECONDS):
                event = await answer
        except TimeoutError as error:
            raise TransportLost(f"no answer within {ANSWER_SECONDS:g} seconds") from error
        finally:
            self._answers.pop(command.id, None)
        if isinstance(event, Refused):
            raise ReportedError(event.error)
        if isinstance(event, SessionLines | SessionHeartbeat | AttachmentFailed):
            raise TransportLost(f"the kernel answered {command.type} with {event.type}")
        return event

    async def tell(self, command: KernelCommand) -> None:
        """Send a command. Raises TransportLost."""
        if self.lost is not None:
            raise self.lost
        try:
            await self._websocket.send(command.model_dump_json(by_alias=True, exclude_none=True))
        except ConnectionClosed as error:
            raise TransportLost(_reason(error)) from error

    def channel(self, answer: SessionAttached, window: int) -> "WebSocketChannel":
        """Return the channel of an attachment; what came for it already is in it."""
        joined = Joined(answer.session, answer.epoch, answer.after, answer.oldest, answer.newest)
        channel = WebSocketChannel(self, answer.attachment, joined, window)
        self._channels[answer.attachment] = channel
        for each in self._early.pop(answer.attachment, []):
            channel.put(each)
        if self.lost is not None:
            channel.put(self.lost)
        return channel

    async def detach(self, number: int) -> None:
        """Give an attachment up; what still comes for it is dropped."""
        if self._channels.pop(number, None) is not None:
            with suppress(TransportLost):
                await self.tell(DetachSession(id=f"detach-{number}", attachment=number))

    async def aclose(self) -> None:
        await self._websocket.close()
        self._listener.cancel()
        with suppress(asyncio.CancelledError):
            await self._listener

    async def _listen(self) -> None:
        lost = TransportLost("the connection was closed")
        try:
            async for message in self._websocket:
                self._take(message)
            lost = TransportLost(f"the kernel closed the connection ({self._websocket.close_code})")
        except ConnectionClosed as error:
            lost = TransportLost(_reason(error))
        except (ValueError, pydantic.ValidationError) as error:
            lost = TransportLost(f"the kernel sent what is no event: {error}")
            await self._websocket.close(1007)
        finally:
            self._end(lost)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            head, _, lines = message.partition(b"\n")
            event = events().validate_json(head)
            if not isinstance(event, SessionLines):
                raise ValueError(f"a binary message of type {event.type}")
            batch = Batch(event.epoch, event.first, event.last, lines, event.end)
            batch.check()
            self._bring(event.attachment, batch)
            return
        event = events().validate_json(message)
        if isinstance(event, SessionHeartbeat):
            self._bring(event.attachment, Heartbeat(event.newest))
        elif isinstance(event, AttachmentFailed):
            self._bring(event.attachment, ReportedError(event.error))
        elif not isinstance(event, SessionLines):
            self._answered(event)

    def _answered(self, event: "SessionAnswer | SessionAttached | SessionDetached | Pong | Refused") -> None:
        if isinstance(event, SessionAttached):
            self._early[event.attachment] = []
        answer = self._answers.get(event.id)
        if answer is not None and not answer.done():
            answer.set_result(event)
        elif isinstance(event, SessionAttached):
            # Whoever asked has gone: the kernel need not go on sending.
            self._early.pop(event.attachment, None)

    def _bring(self, number: int, each: "Batch | Heartbeat | NexusError") -> None:
        if number in self._channels:
            self._channels[number].put(each)
        elif number in self._early:
            self._early[number].append(each)

    def _end(self, lost: TransportLost) -> None:
        self.lost = lost
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(lost)
        for channel in self._channels.values():
            channel.put(lost)


class WebSocketChannel:
    """One attachment over a connection. It holds what came and was not taken: at most the window."""

    def __init__(self, connection: _Connection, number: int, joined: Joined, window: int) -> None:
        self.joined = joined
        self._connection = connection
        self._number = number
        self._window = window
        self._waiting: deque[Batch | Heartbeat | NexusError | TransportLost] = deque()
        self._came = asyncio.Event()
        self._taken: deque[tuple[int, int]] = deque()
        self._through = 0

    def put(self, each: Batch | Heartbeat | NexusError | TransportLost) -> None:
        """Bring what came for this attachment."""
        self._waiting.append(each)
        self._came.set()

    async def receive(self) -> Batch | Heartbeat:
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        each = self._waiting[0]
        if isinstance(each, Exception):
            # It stays: whoever asks again is told again.
            raise each
        self._waiting.popleft()
        if isinstance(each, Batch):
            self._taken.append((each.last, len(each.lines)))
        return each

    async def consumed(self, seq: int) -> None:
        while self._taken and self._taken[0][0] <= seq:
            self._through += self._taken.popleft()[1]
        if self._through * CONSUMED_SHARE >= self._window:
            self._through = 0
            with suppress(TransportLost):
                # A connection that is lost says so to the next `receive`.
                await self._connection.tell(LinesConsumed(id="-", attachment=self._number, seq=seq))

    async def aclose(self) -> None:
        await self._connection.detach(self._number)


def _reason(error: ConnectionClosed) -> str:
    close = error.rcvd or error.sent
    return f"the connection broke ({close.code} {close.reason})" if close else "the connection broke"
