"""The ends of a command as its handler is given them: stdin, stderr, and the terminal that a person sits at."""

from collections.abc import AsyncIterator
from typing import Protocol


class StandardInput(Protocol):
    """The command's stdin; nothing is read from the caller before it is asked for."""

    is_terminal: bool

    async def read(self, limit: int) -> bytes:
        """Read to the end. Raises `ValidationError` when more than `limit` bytes come."""
        ...

    def chunks(self) -> AsyncIterator[bytes]: ...


class Diagnostics(Protocol):
    """The command's stderr: one JSON object a line."""

    async def write(self, data: bytes) -> None:
        """Write whole lines. Raises `ReaderGone`."""
        ...


class Terminal(Protocol):
    """The terminal that a person sits at, for a command whose stream is what a program shows.

    Until `raw` it is a terminal like any other; then every key comes on stdin as it is pressed, ^C among them, nothing
    is echoed, and stdout's bytes are shown as they are. It is put back when the command ends, whatever ends it.
    """

    columns: int
    rows: int

    async def raw(self) -> None: ...

    async def hidden(self) -> None:
        """Show nothing of what is typed; lines and ^C stay what they are."""
        ...

    async def resized(self) -> tuple[int, int]:
        """Wait until the size has changed, and return columns and rows."""
        ...
