"""Prints a stream: its lines as they come, its own end when the caller is signalled, nothing after that."""

import asyncio

from nexus.call import HAND_OVER, Call
from nexus.cli.signals import ENDED_BY
from nexus.schemas.errors import HungUp, Interrupted, Terminated
from nexus.schemas.stream import STOP_STATUS, OutputStream, Printed, StopReason

_REASONS: dict[type[Interrupted], StopReason] = {
    Interrupted: "user-requested",
    Terminated: "terminated",
    HungUp: "hung-up",
}
_LAST_LINES_SECONDS = 2.0
"""How long a reader that is slow to take the last lines is waited for."""


async def print_stream(stream: OutputStream, call: Call, seconds: float | None) -> int:
    """Print the stream and return the exit status; `seconds` ends it with the reason timeout.

    Raises what the stream raises before its first lines, and `ReaderGone`.
    """
    pump = asyncio.create_task(_pump(stream, call))
    hands_over = getattr(stream, "hands_over", False)
    stopper = asyncio.create_task(_stop_reason(call, seconds, hands_over=hands_over))
    try:
        await asyncio.wait((pump, stopper), return_when=asyncio.FIRST_COMPLETED)
        if not pump.done():
            reason = stopper.result()
            stream.stop(reason)
            await asyncio.wait((pump,), timeout=_LAST_LINES_SECONDS)
            if not pump.done():
                return STOP_STATUS[reason]
        pump.result()
        return stream.exit_status
    finally:
        for task in pump, stopper:
            task.cancel()
        await asyncio.wait((pump, stopper))
        await stream.aclose()


async def _pump(stream: OutputStream, call: Call) -> None:
    # The metadata line is the reader's own, and not counted.
    count = call.printed.lines if call.printed else -1
    async for lines in stream:
        count += lines.data.count(b"\n") if lines.count is None else lines.count
        await call.stdout.write(lines.data, _reached(stream, lines.last, count))


def _reached(stream: OutputStream, last: int, count: int) -> Printed | None:
    """Return the position that is reached, for a stream that can be taken up again: a session's."""
    session_id, epoch = getattr(stream, "session_id", None), getattr(stream, "epoch", None)
    if session_id is None or epoch is None:
        return None
    return Printed(session_id=session_id, epoch=epoch, seq=last, lines=max(count, 0))


async def _stop_reason(call: Call, seconds: float | None, *, hands_over: bool) -> StopReason:
    try:
        async with asyncio.timeout(seconds):
            while True:
                number = await call.signals.next()
                if number == HAND_OVER and hands_over:
                    return "handed-over"
                ended_by = ENDED_BY.get(number)
                if ended_by is not None:
                    return _REASONS[ended_by]
    except TimeoutError:
        return "timeout"
