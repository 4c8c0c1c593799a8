"""A transfer as a stream of events: metadata, status while bytes move, the item as data, one close."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from nexus.handlers.data.transfer import Transfer
from nexus.schemas.errors import NexusError
from nexus.schemas.model import Model
from nexus.schemas.stream import STOP_STATUS, Lines, StopReason
from nexus.sessions import lines

TELL_SECONDS = 0.5
"""How often a status is told while nothing but bytes changes."""
LOOK_SECONDS = 0.05
GOING_ON, COMPLETED, FAILED = 1, 2, 3
ENDED = {COMPLETED: 0, FAILED: 5}
INTERRUPTS: dict[StopReason, str] = {"timeout": "timeout", "error": "error"}
"""What an interrupt is told as; every signal is somebody's wish."""


class TransferStream:
    """A `LineStream` of one transfer. Whoever stops it ends the transfer; what has arrived is kept.

    When the process behind it dies the next one goes on with the transfer, and prints on behind what was printed.
    `epoch` is 1 until the end is printed; then it tells those who come behind it how that was.
    """

    def __init__(self, transfer: Transfer[Any]) -> None:
        self._transfer = transfer
        self._printed = transfer.context.printed
        self.session_id = self._printed.session_id if self._printed else f"trf_{secrets.token_hex(12)}"
        self.epoch = self._printed.epoch if self._printed else GOING_ON
        self._writer = lines.LineWriter(self.session_id, seq=self._printed.seq if self._printed else 0)
        self._running: asyncio.Task[Any] | None = None
        self._stopped = asyncio.Event()
        self._stop: StopReason | None = None
        self._status = 0

    @property
    def exit_status(self) -> int:
        """0, or what the failure or the signal stands for."""
        return self._status

    def stop(self, reason: StopReason) -> None:
        if self._stop is None:
            self._stop = reason
            self._status = STOP_STATUS[reason]
            self._transfer.stop.set()
            self._stopped.set()

    async def aclose(self) -> None:
        self._transfer.stop.set()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait((self._running,))

    async def __aiter__(self) -> AsyncIterator[Lines]:
        if self.epoch != GOING_ON:
            # All of it was printed, and its process died before it could say so.
            self._status = ENDED[self.epoch]
            return
        transfer = self._transfer
        self._running = asyncio.create_task(transfer.run())
        if self._printed is None:
            await self._begun(self._running)
            yield self._metadata()
        async for each in self._until_done(self._running):
            yield each
        if self._stop is not None:
            yield self._own("interrupt", lines.interrupt(INTERRUPTS.get(self._stop, "user-requested")))
            yield self._own("close", lines.close("reader", None, self._writer.seq))
            return
        try:
            result: Model = await self._running
        except NexusError as error:
            self._status = _exit_status(error)
            told = self._event("error", lines.failure(error)).data
            self.epoch = FAILED
            yield self._closed(told, "error")
            return
        told = self._event("status", self._state("closed", "Whole and checked.")).data
        told += self._event("data", lines.payload({"type": transfer.direction, **result.model_dump(mode="json")})).data
        self.epoch = COMPLETED
        yield self._closed(told, "completed")

    def _closed(self, told: bytes, reason: str) -> Lines:
        """Return what is told last, and the close, as one: nothing can come between them."""
        close = self._event("close", lines.close(reason, self._status, self._writer.seq + 1)).data
        return Lines(told + close, self._writer.seq)

    async def _begun(self, running: "asyncio.Task[Any]") -> None:
        """Wait until bytes can move. Raises what is wrong with what was asked for, which is an envelope then."""
        waits = [asyncio.create_task(event.wait()) for event in (self._transfer.begun, self._stopped)]
        try:
            await asyncio.wait((running, *waits), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if running.done() and not self._transfer.begun.is_set():
            running.result()

    async def _until_done(self, running: "asyncio.Task[Any]") -> AsyncIterator[Lines]:
        stopped = asyncio.create_task(self._stopped.wait())
        told_at, told = 0.0, ("", -1)
        meter = self._transfer.meter
        try:
            while not running.done() and self._stop is None:
                now, state = time.monotonic(), (meter.state, meter.done)
                if state[0] != told[0] or (state != told and now - told_at >= TELL_SECONDS):
                    told_at, told = now, state
                    yield self._event("status", self._state(meter.state, self._words()))
                await asyncio.wait((running, stopped), timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()

    def _words(self) -> str:
        meter = self._transfer.meter
        if meter.state == "idle":
            return f"Trying again: {meter.trouble}"
        return f"{meter.done} of {meter.total} bytes."

    def _state(self, state: str, message: str) -> str:
        meter = self._transfer.meter
        done = meter.total if state == "closed" else min(meter.done, meter.total)
        return lines.payload({"status": state, "message": message, "transferred": done, "total": meter.total})

    def _metadata(self) -> Lines:
        transfer = self._transfer
        told = {"type": "transfer", "direction": transfer.direction, "name": transfer.meter.label}
        return self._own("metadata", lines.payload({**told, "total": transfer.meter.total, "epoch": 1}))

    def _event(self, event: Any, payload: str) -> Lines:
        data = self._writer.write(event, [payload], time.time_ns())
        return Lines(data, self._writer.seq, 1)

    def _own(self, event: Any, payload: str) -> Lines:
        return Lines(lines.own_line(event, self.session_id, payload, time.time_ns()), self._writer.seq, 1)


def _exit_status(error: NexusError) -> int:
    status = error.entry().details.get("exitCode", 1)
    return status if isinstance(status, int) else 1
