"""A stream in its bounded form: its events as the items of one envelope."""

import asyncio
import json
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
    stream: "OutputStream", call: Call, request_id: str, seconds: float, told: Told | None = None
) -> Answer:
    """Read a stream to its end, or to the bounds, and answer `{items, nextCursor, truncated}`.

    What outlives `seconds` or exceeds the bounds is stopped, and `truncated` says so. A stream that fails is an error,
    with the last events that it had in the details.
    """
    events = _Events(told)
    try:
        status = await print_stream(stream, replace(call, stdout=events, signals=_Silence()), seconds)
    except ReaderGone:
        status = 0
    except NexusError as error:
        return Answer(failure(error.entries(), request_id))
    return Answer(events.envelope(request_id, status))


class _Silence:
    """Signals of a caller that sends none: its own front tells the command to stop."""

    async def next(self) -> int:
        never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        return await never


class _Events:
    """An output that keeps the events written to it; it is gone once it is full."""

    is_terminal = False

    def __init__(self, told: Told | None) -> None:
        self._told = told
        self._items: list[dict[str, Any]] = []
        self._bytes = 0
        self._truncated = False
        self._error: dict[str, Any] | None = None

    async def write(self, data: bytes, reached: "Printed | None" = None) -> None:  # noqa: ARG002 -- nobody takes it up again
        """Keep whole lines. Raises `ReaderGone` at the bounds."""
        for line in data.splitlines():
            if len(self._items) == MOST_EVENTS or self._bytes + len(line) > MOST_BYTES:
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
