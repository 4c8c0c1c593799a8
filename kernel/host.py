"""The process that a kernel lives in, as the kernel sees it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from nexus.schemas.kernel import LiveCounts

HostMode = Literal["resident", "one-shot", "server"]


class KernelHost(Protocol):
    """Who runs the kernel. `socket` is where others reach it, None where nobody can."""

    @property
    def mode(self) -> HostMode: ...

    @property
    def started_at(self) -> datetime: ...

    @property
    def socket(self) -> Path | None: ...

    def live(self) -> LiveCounts:
        """Return what the host itself has at work, commands for one; `Kernel.live` tells of the kernel's parts."""
        ...

    def stop(self, restart: bool) -> None:
        """Ask the host to end when its work is done; with `restart` a new one takes its place. Returns at once."""
        ...


@dataclass(frozen=True, slots=True)
class OneShotHost:
    """A process that runs one command with a kernel of its own, and ends with it: there is nothing to stop."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    mode: HostMode = "one-shot"
    socket: Path | None = None

    def live(self) -> LiveCounts:
        return LiveCounts(commands=1)

    def stop(self, restart: bool) -> None:
        """Do nothing: the process ends with its command."""


Environment = Mapping[str, str]
"""The environment of the programs that the kernel itself starts, git for one."""


def together(counts: Iterable[LiveCounts]) -> LiveCounts:
    """Add up what several have at work."""
    counts = list(counts)
    return LiveCounts(
        commands=sum(count.commands for count in counts),
        sessions=sum(count.sessions for count in counts),
        processes=sum(count.processes for count in counts),
    )
