"""One command call: the caller's words and surroundings, and the ends that its bytes come from and go to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nexus.schemas.command import StandardInput, Terminal
from nexus.schemas.stream import Printed


class Output(Protocol):
    """An end that bytes go to: stdout or stderr of the caller."""

    is_terminal: bool

    async def write(self, data: bytes, reached: Printed | None = None) -> None:
        """Write all of it, paced by the reader. Raises `ReaderGone` when nobody reads any more.

        `reached` is the position of a stream behind the data: should this process die, the next one goes on there.
        """
        ...


HAND_OVER = 0
"""Among the signals: this process gives way to a newer one, which goes on with a stream that can be gone on with."""


class Signals(Protocol):
    """The signals that the caller was sent, in their order."""

    async def next(self) -> int:
        """Wait for the next one and return its number."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """Everything a command takes from whoever called it. Nothing of it outlives the command.

    `limits` maps `resource.RLIMIT_*` numbers to (soft, hard). `columns` and `rows` are of the controlling terminal, 80
    by 24 without one; `terminal` is there when both stdin and stdout are one. `argv` leaves out the program's name;
    bytes that are no UTF-8 are surrogate-escaped.

    `again` says that the command was begun before by a process that died: what is not known to only read must then end
    in `OutcomeUnknown` instead of running a second time. `printed` is how far the stream of such a command came: it is
    printed on from there.
    """

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]
    stdin: StandardInput
    stdout: Output
    stderr: Output
    signals: Signals
    umask: int = 0o077
    limits: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    columns: int = 80
    rows: int = 24
    again: bool = False
    printed: Printed | None = None
    terminal: Terminal | None = None
