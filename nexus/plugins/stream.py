"""A plugin's stream as a command prints it: metadata first, its events as they come, one close last."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from nexus.plugins.conversation import Conversation
from nexus.plugins.process import GRACE_SECONDS, Worker
from nexus.plugins.worker.channel import Message
from nexus.schemas.errors import NexusError, ReportedError
from nexus.schemas.event import EventName
from nexus.schemas.session import Capabilities, Session
from nexus.schemas.stream import STOP_STATUS, Lines, StopReason
from nexus.sessions import lines

_EVENTS: tuple[EventName, ...] = ("data", "status", "metadata")
SESSION_TYPE = "plugin"
Work = Coroutine[Any, Any, None]


class PluginStream:
    """The events of one command. It holds the worker until its end; a worker that was interrupted is not used again."""

    def __init__(
        self, conversation: Conversation, request: Message, held: AsyncExitStack, later: Callable[[Work], None]
    ) -> None:
        self._conversation = conversation
        self._request = request
        self._held = held
        self._later = later
        self._worker: Worker = conversation.worker
        self._stop: StopReason | None = None
        self._stopped = asyncio.Event()
        self._status = 0
        self._ended = False
        self._let_go = False
        self._id = f"plg_{secrets.token_hex(12)}"
        self._writer = lines.LineWriter(self._id)

    @property
    def exit_status(self) -> int:
        """0, the status of the reason to stop, or that of the error which ended it."""
        return STOP_STATUS[self._stop] if self._stop else self._status

    async def __aiter__(self) -> AsyncIterator[Lines]:
        messages = self._conversation.messages(self._request)
        count = 0
        try:
            while True:
                message = await self._next(messages)
                if count == 0:
                    # What fails before its first event is an error envelope, and no stream.
                    yield Lines(self._metadata(), 0, 1)
                    count = 1
                if message is None or message["is"] == "result":
                    break
                yield Lines(self._event(message), self._writer.seq, 1)
        except NexusError as error:
            if count == 0:
                raise
            if self._stop is not None:
                # It is told of its own interrupt.
                yield self._interrupted()
                return
            self._status = error.reported_exit_status if isinstance(error, ReportedError) else error.exit_status
            failed = self._writer.write("error", [lines.failure(error)], time.time_ns())
            yield Lines(failed + self._close("error", None), self._writer.seq, 2)
            return
        finally:
            await messages.aclose()  # type: ignore[attr-defined]  # an async generator is closed by its reader
        if self._stop is not None:
            yield self._interrupted()
            return
        self._ended = True
        yield Lines(self._close("completed", 0), self._writer.seq, 1)

    async def _next(self, messages: AsyncIterator[Message]) -> Message | None:
        """Return the next message, None when the stream was stopped."""
        if self._stop is not None:
            return None
        coming = asyncio.ensure_future(anext(messages))
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((coming, stopped), return_when=asyncio.FIRST_COMPLETED)
            return coming.result() if coming.done() else None
        finally:
            for task in (coming, stopped):
                task.cancel()
            await asyncio.wait((coming, stopped), timeout=GRACE_SECONDS)

    def stop(self, reason: StopReason) -> None:
        """End the stream: its code is interrupted, and lets go of what it holds if it does so in time."""
        self._stop = reason
        self._worker.interrupt()
        self._stopped.set()

    async def aclose(self) -> None:
        """Give the worker back, or end it in the middle of its work, after a moment to let go of what it holds."""
        held, self._held = self._held, AsyncExitStack()
        if self._ended:
            await held.aclose()
        elif not self._let_go:
            self._let_go = True
            self._later(_left(self._worker, held, interrupted=self._stop is not None))

    def _interrupted(self) -> Lines:
        told = self._stop if self._stop in ("timeout", "error") else "user-requested"
        interrupted = lines.own_line("interrupt", self._id, lines.interrupt(told), time.time_ns())
        return Lines(interrupted + self._close("reader", None), self._writer.seq, 2)

    def _metadata(self) -> bytes:
        session = Session(
            session_id=self._id,
            type=SESSION_TYPE,
            created_at=datetime.now(UTC),
            transport="local",
            capabilities=Capabilities(receive=True, interrupt=True, stream=True),
            metadata={"plugin": self._conversation.known.name, "command": self._conversation.command},
        )
        told = session.model_dump(mode="json", by_alias=True, exclude_none=True)
        payload = lines.payload({"session": told, "epoch": 1, "after": 0, "newest": 0})
        return lines.own_line("metadata", self._id, payload, time.time_ns())

    def _event(self, message: Message) -> bytes:
        name: EventName = next((known for known in _EVENTS if known == message.get("event")), "data")
        return self._writer.write(name, [lines.payload(message["payload"])], time.time_ns())

    def _close(self, reason: str, exit_code: int | None) -> bytes:
        if reason == "reader":
            payload = lines.close(reason, exit_code, self._writer.seq)
            return lines.own_line("close", self._id, payload, time.time_ns())
        return self._writer.write("close", [lines.close(reason, exit_code, self._writer.seq + 1)], time.time_ns())


async def _left(worker: Worker, held: AsyncExitStack, *, interrupted: bool) -> None:
    """End a worker whose stream nobody reads any more."""
    if interrupted and worker.working:
        await _ended_by_itself(worker)
    worker.working = True
    await held.aclose()


async def _ended_by_itself(worker: Worker) -> None:
    """Wait a moment for a worker that was interrupted, so that it lets go of what it holds."""
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            while (await worker.receive()).get("is") not in ("result", "error"):
                pass
    except (NexusError, TimeoutError):
        return
