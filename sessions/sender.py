"""Sends input in order and once: numbered, one at a time under way, what waits meanwhile joined into the next."""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from nexus.schemas.errors import NexusError
from nexus.schemas.session import InputAccepted, SessionInput
from nexus.sessions.core.input import Outbox

JOINED_BYTES = 32 * 1024
MOST_WAITING_BYTES = 4 * 1024 * 1024


class Sender:
    """One client's input to one session. `transmit` carries an input there, again if it must, and returns when applied.

    An input that is refused ends the sender: every later `send` raises the same error.
    """

    def __init__(self, transmit: Callable[[SessionInput], Awaitable[InputAccepted]]) -> None:
        self._transmit = transmit
        self._outbox = Outbox(secrets.token_hex(8))
        # With the last piece of what was put, its future.
        self._waiting: deque[tuple[bytes, asyncio.Future[None] | None]] = deque()
        self._bytes = 0
        self._error: NexusError | None = None
        self._came = asyncio.Event()
        self._room = asyncio.Event()
        self._pump = asyncio.create_task(self._run())

    async def send(self, data: bytes) -> None:
        """Send bytes and return when they are applied. Raises what refused them."""
        await asyncio.shield(await self.put(data))

    async def put(self, data: bytes) -> "asyncio.Future[None]":
        """Queue bytes behind what was put before; the future is done when they are applied.

        Waits while too much is queued. Raises what refused an earlier input.
        """
        while self._bytes > MOST_WAITING_BYTES and self._error is None:
            self._room.clear()
            await self._room.wait()
        if self._error is not None:
            raise self._error
        applied: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Whoever only puts need not look at every future.
        applied.add_done_callback(lambda done: done.cancelled() or done.exception())
        pieces = [data[start : start + JOINED_BYTES] for start in range(0, max(1, len(data)), JOINED_BYTES)]
        self._waiting.extend((piece, None) for piece in pieces[:-1])
        self._waiting.append((pieces[-1], applied))
        self._bytes += len(data)
        self._came.set()
        return applied

    async def aclose(self) -> None:
        """Stop sending. What was not applied by now is not known to be."""
        self._pump.cancel()
        with suppress(asyncio.CancelledError):
            await self._pump

    async def _run(self) -> None:
        while True:
            while not self._waiting:
                self._came.clear()
                await self._came.wait()
            data, applied = self._next()
            number, _ = self._outbox.put(data)
            try:
                await self._transmit(SessionInput.of(self._outbox.client_id, number, data))
            except NexusError as error:
                self._fail(error, applied)
                return
            self._outbox.acknowledged(number)
            for future in applied:
                if not future.done():
                    future.set_result(None)

    def _next(self) -> tuple[bytes, list["asyncio.Future[None]"]]:
        """Take what waits, up to one input's size."""
        parts: list[bytes] = []
        applied: list[asyncio.Future[None]] = []
        size = 0
        while self._waiting and (not parts or size + len(self._waiting[0][0]) <= JOINED_BYTES):
            data, future = self._waiting.popleft()
            parts.append(data)
            applied += [future] if future is not None else []
            size += len(data)
        self._bytes -= size
        self._room.set()
        return b"".join(parts), applied

    def _fail(self, error: NexusError, applied: list["asyncio.Future[None]"]) -> None:
        self._error = error
        for future in [*applied, *(future for _, future in self._waiting)]:
            if future is not None and not future.done():
                future.set_exception(error)
        self._waiting.clear()
        self._room.set()
