"""Processes: those that the kernel started, and the user's others."""

from typing import Literal

from pydantic import Field

from nexus.schemas.model import Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery
from nexus.schemas.secret import SecretNames

ProcessKind = Literal["started", "terminal", "other"]
ProcessState = Literal["running", "sleeping", "stopped", "zombie", "exited", "paused"]


class ProcessOptions(StrictModel):
    """The options of a session that is a started process: what runs, on pipes, its lines as log events.

    For `grace_seconds` after its end it can be restarted, and so long others may hold its output open.
    """

    argv: tuple[str, ...] = Field(min_length=1, max_length=10_000)
    cwd: str = Field(min_length=1, max_length=4096)
    secrets: SecretNames = Field(default_factory=list)
    timeout_seconds: float | None = Field(default=None, gt=0, le=365 * 24 * 3600)
    grace_seconds: float = Field(default=30.0, ge=0, le=24 * 3600)


class MonitorOptions(StrictModel):
    """The options of a session that samples a process: the first sample at once, then one each interval."""

    monitor: str = Field(min_length=1, max_length=200)
    interval_seconds: float = Field(default=1.0, ge=0.05, le=3600)
    samples: int | None = Field(default=None, ge=1)


class ProcessInfo(Model):
    """A process. `id` is the kernel's own for what it started, else pid@start, so that no other is taken for it.

    Memory is resident set size in bytes, `cpu_percent` of one processor since the process began, and in samples since
    the sample before. What the system does not let us see is null.
    """

    id: str
    kind: ProcessKind
    pid: int | None
    name: str
    command: list[str] = Field(default_factory=list)
    state: ProcessState
    parent_pid: int | None = None
    user: str | None = None
    created_at: Timestamp | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    threads: int | None = None
    open_files: int | None = None
    session_id: str | None = None


class ProcessDetails(ProcessInfo):
    """All that can be known of a process. Environments are not told: secrets are in them."""

    executable: str | None = None
    cwd: str | None = None
    nice: int | None = None
    cpu_seconds: float | None = None
    virtual_bytes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    context_switches: int | None = None
    files: list[str] = Field(default_factory=list)
    sockets: list[str] = Field(default_factory=list)
    children: list[ProcessInfo] = Field(default_factory=list)
    hidden: list[str] = Field(default_factory=list)


class ProcessSample(Model):
    """One look at a process: the payload of a monitor's data events, `type` process-sample."""

    type: Literal["process-sample"] = "process-sample"
    id: str
    pid: int
    state: ProcessState
    cpu_percent: float
    memory_bytes: int
    threads: int
    open_files: int | None = None
    children: int


class ProcessQuery(PageQuery):
    """Without `kind`, what the kernel started; `other` are the user's other processes, `all` is all of them."""

    kind: Literal["started", "terminal", "other", "all"] | None = None
    status: ProcessState | None = None


class SignalQuery(StrictModel):
    """Which signal, by name or number; `everyone` sends it to all in the session of a process that was started."""

    signal: str = Field(default="SIGTERM", min_length=1, max_length=20)
    everyone: bool = False


class Signalled(Model):
    """The signal was sent; `process` is what it was sent to, as it was before."""

    signal: str
    process: ProcessInfo
