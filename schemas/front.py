"""The ways in that are commands themselves: what such a command is given, and what it hands back."""

from dataclasses import dataclass
from typing import Protocol

from nexus.schemas.stream import OutputStream


@dataclass(frozen=True, slots=True)
class Forward:
    """Another command line to run in the place of the one that said so, under the same global flags.

    `line` has the words of a command line with or without `nexus` before them, quoted as for a shell.
    """

    line: str


class Fronts(Protocol):
    """Fronts on the dispatcher that a command may start, in that command's own surroundings."""

    def batch(self, *, parallel: int, stop_on_error: bool) -> OutputStream:
        """Run the records on the command's stdin; the stream has an envelope a line, in their order."""
        ...
