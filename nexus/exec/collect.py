"""A stream in its bounded form: its events as the items of one envelope."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nexus.call import Call
from nexus.cli.streaming import print_stream
from nexus.dispatch.dispatcher import Answer
from nexus.schemas.envelope import Envelope, ErrorEntry, failure, success
from nexus.schemas.errors import NexusError, ReaderGone

if TYPE_CHECKING:
    from nexus.schemas.stream import OutputStream, Printed

MOST_EVENTS = 1000
MOST_BYTES = 1024 * 1024
MOST_EVENTS_OF_ERROR = 20

Told = Callable[[int, str], Awaitable[None]]
"""Is given how many events there are so far, and what the newest one is."""


async def collected(
    stream: "OutputStream",
    call: Call,
    request_id: str,
    seconds: float,
    told: Told | None = None,
    *,
    most_bytes: int = MOST_BYTES,
) -> Answer:
    """Read a stream to its end, or to the bounds, and answer `{items, nextCursor, truncated}`.

    What outlives `seconds` or exceeds the bounds is stopped, and `truncated` says so. A stream that fails is an error,
    with the last events that it had in the details.
    """
    events, signals = _Events(told, most_bytes), _Cancelled()
    reading = asyncio.create_task(print_stream(stream, replace(call, stdout=events, signals=signals), seconds))
    _reading.add(reading)
    reading.add_done_callback(_finished)
    try:
        status = await asyncio.shield(reading)
    except asyncio.CancelledError:
        # The stream is told, as by Ctrl+C, and ends what it started after this has returned.
        signals.send()
        raise
    except ReaderGone:
        status = 0
    except NexusError as error:
        return Answer(failure(error.entries(), request_id))
    return Answer(events.envelope(request_id, status))


_reading: set[asyncio.Task[int]] = set()
"""The loop holds tasks weakly: one that nobody waits for any more is held here until it has ended."""


def _finished(reading: asyncio.Task[int]) -> None:
    _reading.discard(reading)
    # Whoever waits is told what it raised; where nobody does, nothing more is to be done with it.
    if not reading.cancelled():
        reading.exception()


class _Cancelled:
    """Signals of a front's caller: none but the one that stands for its cancellation."""

    def __init__(self) -> None:
        self._sent = asyncio.Event()

    def send(self) -> None:
        """Interrupt the command."""
        self._sent.set()

    async def next(self) -> int:
        """Wait for the interrupt."""
        await self._sent.wait()
        self._sent.clear()
        return signal.SIGINT


class _Events:
    """An output that keeps the events written to it; it is gone once it is full."""

    is_terminal = False

    def __init__(self, told: Told | None, most_bytes: int) -> None:
        self._told = told
        self._most_bytes = most_bytes
        self._items: list[dict[str, Any]] = []
        self._bytes = 0
        self._truncated = False
        self._error: dict[str, Any] | None = None

    async def write(self, data: bytes, reached: "Printed | None" = None) -> None:  # noqa: ARG002 -- nobody takes it up again
        """Keep whole lines. Raises `ReaderGone` at the bounds."""
        for line in data.splitlines():
            if len(self._items) == MOST_EVENTS or self._bytes + len(line) > self._most_bytes:
                self._truncated = True
                raise ReaderGone
            event = json.loads(line)
            self._bytes += len(line)
            self._items.append(event)
            if event["event"] == "error":
                self._error = event["payload"]
            elif event["event"] == "interrupt":
                self._truncated = True
        if self._told is not None and self._items:
            await self._told(len(self._items), str(self._items[-1]["event"]))

    def envelope(self, request_id: str, status: int) -> Envelope:
        """Return what came, as a result or, with an error's status, as that error."""
        if self._error is not None and status != 0:
            entry = ErrorEntry.model_validate(self._error)
            entry.details["events"] = self._items[-MOST_EVENTS_OF_ERROR:]
            return failure([entry], request_id)
        return success({"items": self._items, "nextCursor": None, "truncated": self._truncated}, request_id)
