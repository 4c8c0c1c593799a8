"""What the holder is asked to start: a program with all that it takes from the command that wants it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from nexus.kernel.holder.frames import Head

SPOOL_LIMIT = 256 * 1024 * 1024
"""How many unread bytes a program may have on disk before it is paused."""


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """A program to start. It gets this environment, folder, umask and these limits, and default signals.

    `terminal` is (columns, rows), or None for a program on pipes, which keep stdout and stderr apart. `folder_identity`
    is (device, inode) of `cwd`: another folder under that name is refused. `limits` maps `resource.RLIMIT_*` to
    (soft, hard). Times are seconds: after `timeout` the program is ended; after `idle` without input or output too,
    unless somebody watches or a job runs in the foreground; `grace` is what it gets between TERM and KILL; `linger` is
    how long others may hold its terminal or pipes open once it has ended. `label` is the owner's.
    """

    argv: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]
    terminal: tuple[int, int] | None = None
    stdin: bool = False
    umask: int = 0o077
    limits: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    folder_identity: tuple[int, int] | None = None
    timeout: float | None = None
    idle: float | None = None
    grace: float = 5.0
    linger: float = 30.0
    spool_limit: int = SPOOL_LIMIT
    label: str = ""

    def to_wire(self) -> Head:
        """Return the spec as a frame's head carries it."""
        return asdict(self)

    @classmethod
    def from_wire(cls, head: Head) -> Self:
        """Read what `to_wire` wrote; what a newer kernel added is ignored. Raises KeyError, TypeError, ValueError."""
        known: dict[str, Any] = {name: head[name] for name in cls.__dataclass_fields__ if name in head}
        argv = tuple(map(str, known["argv"]))
        if not argv:
            raise ValueError("no program is named")
        known["argv"] = argv
        known["environment"] = {str(name): str(value) for name, value in known["environment"].items()}
        known["limits"] = {int(number): _pair(pair) for number, pair in known.get("limits", {}).items()}
        for name in ("terminal", "folder_identity"):
            if known.get(name) is not None:
                known[name] = _pair(known[name])
        return cls(**known)


def _pair(values: Any) -> tuple[int, int]:
    first, second = values
    return int(first), int(second)
