"""What the kernel says of itself."""

from typing import Any, Literal

from pydantic import Field

from nexus.schemas.model import Model, StrictModel, Timestamp


class Health(Model):
    """`role`, `host` and `capacity` are the settings of `cluster`; `running` are the programs that the kernel has.

    A hub or a node that is full `accepts` no further program.
    """

    status: Literal["ok", "degraded"]
    version: str
    role: Literal["standalone", "hub", "node"] = "standalone"
    host: str = "localhost"
    capacity: int = 16
    running: int = 0
    accepts: bool = True


class LiveCounts(Model):
    """What is at work in the kernel's process now."""

    commands: int = 0
    sessions: int = 0
    processes: int = 0


class KernelStatus(Model):
    """`mode` is resident, one-shot (ends with its command) or server. Memory is resident set size in bytes."""

    mode: Literal["resident", "one-shot", "server"]
    pid: int
    version: str
    started_at: Timestamp
    uptime_seconds: float
    socket: str | None = None
    data_folder: str
    database: str
    memory_bytes: int
    live: LiveCounts = Field(default_factory=LiveCounts)


class SandboxStatus(Model):
    """What the steps of pipelines run in here: `kind` is None where none can be made, and no step runs then.

    `chosen` says that the settings name it. `missing` says why each other kind does not work, `hint` what to do.
    """

    kind: Literal["bubblewrap", "landlock", "none"] | None
    chosen: bool
    missing: dict[str, str]
    hint: str | None = None


class KernelMetrics(Model):
    """Counters since the start, and sizes now."""

    uptime_seconds: float
    requests: dict[str, int]
    memory_bytes: int
    peak_memory_bytes: int
    open_files: int
    database_bytes: int


class StopRequest(StrictModel):
    """`restart` asks for a new kernel in the place of the one that ends."""

    restart: bool = False


class KernelStopping(Model):
    """The kernel finishes what is under way, then ends; with `restarts` a new one takes its place."""

    pid: int
    stopping: bool = True
    restarts: bool = False


class Deleted(Model):
    """What was deleted, and what went with it, counted by kind."""

    id: str
    deleted: Literal[True] = True
    cascade: dict[str, int] = Field(default_factory=dict)


class ErrorBody(Model):
    """The body of every answer of the API that is an error."""

    error: dict[str, Any]
