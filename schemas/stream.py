"""What a command that writes more than one answer hands to whoever prints: whole lines, and when it is over."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

StopReason = Literal["user-requested", "terminated", "hung-up", "timeout", "error", "handed-over"]
"""Why a reader stops: SIGINT, SIGTERM, SIGHUP, the command's time-out, a fault; or it goes on in another process."""

HANDED_OVER = -1
"""No exit status: what the command's stream has still to say, another process will say."""

STOP_STATUS: dict[StopReason, int] = {
    "user-requested": 130,
    "terminated": 143,
    "hung-up": 129,
    "timeout": 5,
    "error": 1,
    "handed-over": HANDED_OVER,
}


@dataclass(frozen=True, slots=True)
class Lines:
    """One line or more, each whole and ended by a newline. `last` is the position that they reach.

    Of a session's stream it is the seq in the log, of other streams the number of lines so far. `count` is how many
    lines there are, where that is known: to count them is to read them all.
    """

    data: bytes
    last: int
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Printed:
    """How far an earlier process printed this stream: the position of its last whole item.

    `lines` counts the session's lines so far, its metadata aside.
    """

    session_id: str
    epoch: int
    seq: int
    lines: int


class OutputStream(Protocol):
    """Lines as they come, pulled by the printer, so that a slow one slows nothing but this command.

    One that another process can go on with has `hands_over = True`: stopped for that reason it says nothing more, and
    leaves everything that it stands on as it is.
    """

    @property
    def exit_status(self) -> int:
        """What the command exits with, once the iteration has ended."""
        ...

    def __aiter__(self) -> AsyncIterator[Lines]: ...

    def stop(self, reason: StopReason) -> None:
        """End the stream now: the iteration yields what is left, little and at once, and is over. Never blocks."""
        ...

    async def aclose(self) -> None:
        """Let go of what the stream holds. Safe at any time, more than once."""
        ...


class TextStream:
    """A text that is no envelope, whole: what `completion` and `skill` print."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    @property
    def exit_status(self) -> int:
        """0."""
        return 0

    async def __aiter__(self) -> AsyncIterator[Lines]:
        yield Lines(self._text, 1)

    def stop(self, reason: StopReason) -> None:
        """Do nothing: the text is one item."""

    async def aclose(self) -> None:
        """Do nothing: nothing is held."""
