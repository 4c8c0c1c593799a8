"""The kernel's WebSocket `/kernel`: typed commands in, answers and lines out."""

import asyncio
from collections.abc import Awaitable, Coroutine
from itertools import count
from typing import Any, assert_never

import pydantic
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from nexus.kernel.api.failure import entry_of, refused
from nexus.kernel.sessions.attachment import Attachment
from nexus.kernel.sessions.gate import SessionGate
from nexus.schemas.errors import Conflict
from nexus.schemas.model import Model
from nexus.schemas.protocol import (
    ActivateSession,
    AttachmentFailed,
    AttachSession,
    CloseSession,
    CreateSession,
    DetachSession,
    InterruptSession,
    KernelCommand,
    LinesConsumed,
    ListSessions,
    Ping,
    Pong,
    Refused,
    ResizeSession,
    RestartSession,
    SendInput,
    SessionAttached,
    SessionCommand,
    SessionDetached,
    SessionHeartbeat,
    SessionLines,
    ViewSession,
    commands,
)
from nexus.sessions.core.position import Batch
from nexus.sessions.transport import DEFAULT_WINDOW

MOST_COMMANDS = 256
"""So many commands of one connection may be under way; then no more are read from it."""
MOST_ATTACHMENTS = 1000
"""So many streams one connection may read at once; each costs the kernel memory."""
LEAVING_SECONDS = 30.0
"""So long a connection that ended is kept for the commands that it began."""
UNKNOWN_ID = "-"


class KernelSocket:
    """One connection. Its attachments end with it; what its commands began goes on."""

    def __init__(self, websocket: WebSocket, sessions: SessionGate) -> None:
        self._websocket = websocket
        self._sessions = sessions
        self._attachments: dict[int, Attachment] = {}
        self._numbers = count(1)
        self._pumps: set[asyncio.Task[None]] = set()
        self._commands: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(MOST_COMMANDS)

    async def serve(self) -> None:
        """Serve the connection until it ends."""
        await self._websocket.accept()
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._take(message.get("text") or (message.get("bytes") or b"").decode(errors="replace"))
        except WebSocketDisconnect:
            return
        finally:
            await self._leave()

    async def _take(self, text: str) -> None:
        try:
            command = commands().validate_json(text)
        except pydantic.ValidationError as error:
            await self._send(Refused(id=_id_of(text), error=refused(error, Model, "command").entry()))
            return
        if isinstance(command, LinesConsumed):
            # In the order of its coming and at once: the window hangs on it.
            attachment = self._attachments.get(command.attachment)
            if attachment is not None:
                await attachment.consumed(command.seq)
            return
        await self._free.acquire()
        self._start(self._answer(command), self._commands)

    async def _answer(self, command: KernelCommand) -> None:
        try:
            await self._do(command)
        except (WebSocketDisconnect, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 -- told to the client and logged, as every operation does
            await self._send(Refused(id=command.id, error=entry_of(error, command.id)))
        finally:
            self._free.release()

    async def _do(self, command: KernelCommand) -> None:
        match command:
            case AttachSession():
                await self._attach(command)
            case DetachSession():
                await self._detach(command)
            case LinesConsumed():
                pass
            case Ping():
                await self._send(Pong(id=command.id))
            case (
                CreateSession()
                | ListSessions()
                | ViewSession()
                | SendInput()
                | InterruptSession()
                | ResizeSession()
                | RestartSession()
                | ActivateSession()
                | CloseSession()
            ):
                await self._request(command)
            case _:
                assert_never(command)

    async def _request(self, command: SessionCommand) -> None:
        await self._send(await self._sessions.request(command))

    async def _attach(self, command: AttachSession) -> None:
        if command.window is None:
            # What a slow reader does not take must not pile up between us.
            command.window = DEFAULT_WINDOW
        if len(self._attachments) >= MOST_ATTACHMENTS:
            raise Conflict.because(
                f"A connection reads at most {MOST_ATTACHMENTS} streams at once.", hint="Detach from one first."
            )
        attachment = await self._sessions.attach(command)
        number = next(self._numbers)
        self._attachments[number] = attachment
        joined = attachment.joined
        await self._send(
            SessionAttached(
                id=command.id,
                attachment=number,
                session=joined.session,
                epoch=joined.epoch,
                after=joined.after,
                oldest=joined.oldest,
                newest=joined.newest,
            )
        )
        self._start(self._pump(number, attachment), self._pumps)

    async def _detach(self, command: DetachSession) -> None:
        attachment = self._attachments.pop(command.attachment, None)
        if attachment is not None:
            await attachment.aclose()
        await self._send(SessionDetached(id=command.id, attachment=command.attachment))

    async def _pump(self, number: int, attachment: Attachment) -> None:
        """Send the attachment's lines until their end, or until it is detached."""
        pull = asyncio.create_task(attachment.receive())
        try:
            while True:
                each = await pull
                if number not in self._attachments:
                    return
                if not (isinstance(each, Batch) and each.end):
                    # The next is read while this one is sent.
                    pull = asyncio.create_task(attachment.receive())
                if not isinstance(each, Batch):
                    await self._send(SessionHeartbeat(attachment=number, newest=each.newest))
                    continue
                await self._send_lines(number, each)
                if each.end:
                    return
        except (WebSocketDisconnect, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 -- told to the client and logged, as every operation does
            await self._send(AttachmentFailed(attachment=number, error=entry_of(error, f"attachment {number}")))
        finally:
            pull.add_done_callback(_look_at)
            pull.cancel()
            self._attachments.pop(number, None)
            await attachment.aclose()

    async def _send_lines(self, number: int, batch: Batch) -> None:
        head = SessionLines(attachment=number, epoch=batch.epoch, first=batch.first, last=batch.last, end=batch.end)
        await self._sent(self._websocket.send_bytes(head.model_dump_json(by_alias=True).encode() + b"\n" + batch.lines))

    async def _send(self, event: Model) -> None:
        await self._sent(self._websocket.send_text(event.model_dump_json(by_alias=True)))

    async def _sent(self, sending: Awaitable[None]) -> None:
        """Send. Raises `WebSocketDisconnect` where the connection has ended, also by our own word."""
        try:
            await sending
        except RuntimeError as error:
            states = (self._websocket.client_state, self._websocket.application_state)
            if WebSocketState.DISCONNECTED in states:
                raise WebSocketDisconnect from error
            raise

    def _start(self, work: Coroutine[None, None, None], among: "set[asyncio.Task[None]]") -> None:
        task = asyncio.create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)
        task.add_done_callback(_look_at)

    def _stop_pumps(self) -> None:
        for task in self._pumps:
            task.cancel()

    async def _leave(self) -> None:
        # What a command began is done to its end: its client asks again, and must not have it done twice.
        self._stop_pumps()
        if self._commands:
            await asyncio.wait(self._commands, timeout=LEAVING_SECONDS)
        # One of them may have attached.
        self._stop_pumps()
        for attachment in list(self._attachments.values()):
            await attachment.aclose()
        self._attachments.clear()


def _look_at(task: "asyncio.Task[Any]") -> None:
    """A connection that ended under a send ends the reading too; nothing is left to be told."""
    if not task.cancelled():
        task.exception()


def _id_of(text: str) -> str:
    """Return the id of a command that cannot be read, as far as it can be told."""
    try:
        return str(_OnlyId.model_validate_json(text).id)[:100] or UNKNOWN_ID
    except pydantic.ValidationError:
        return UNKNOWN_ID


class _OnlyId(Model):
    id: str
