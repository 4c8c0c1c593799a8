"""What code prints to Python's stdout: it reaches the stderr of the command that it runs for, and never an envelope."""

import io
import os
from contextvars import ContextVar
from typing import Protocol


class Reader(Protocol):
    """Who is told."""

    def printed(self, data: bytes) -> None:
        """Take what was printed, from any thread. Returns at once."""
        ...


COMMAND: ContextVar[Reader] = ContextVar("COMMAND")
"""The command that the running code works for; threads that are started for it have it too."""


class Prints(io.TextIOBase):
    """A stdout for a process that serves many. What is printed for no command goes to this process's own stderr."""

    encoding = "utf-8"

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Pass the text on."""
        data = text.encode("utf-8", "backslashreplace")
        reader = COMMAND.get(None)
        if reader is None:
            os.write(2, data)
        else:
            reader.printed(data)
        return len(text)
