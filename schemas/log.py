"""Logs: what is asked of them, and their entries."""

from typing import Literal

from pydantic import Field, model_validator

from nexus.schemas.model import Model, StrictModel, Timestamp

LogLevel = Literal["trace", "debug", "info", "warning", "error", "critical"]


LEVEL_RANK: dict[str | None, int] = {
    "trace": 0,
    "debug": 1,
    "info": 2,
    "warning": 3,
    "error": 4,
    "critical": 5,
}
"""The levels, the least first."""


class LogOptions(StrictModel):
    """The options of a session that streams a log file: its last `lines` lines, then, with `follow`, what comes.

    `pid` stands for the file that this process writes its output to.
    """

    file: str | None = Field(default=None, min_length=1, max_length=4096)
    pid: int | None = Field(default=None, ge=1, le=2**31 - 1)
    lines: int = Field(default=50, ge=0, le=1_000_000)
    follow: bool = True

    @model_validator(mode="after")
    def _one_source(self) -> "LogOptions":
        if (self.file is None) == (self.pid is None):
            raise ValueError("a log is named by exactly one of file and pid")
        return self


class LogQuery(StrictModel):
    """Entries of a log file; named by neither `file` nor `pid`, of the one that tells of faults in holding programs.

    `since` and `until` are moments, `level` the least level, `text` what a line contains.

    The newest `limit` entries come, the oldest of them first; `cursor` goes on with those before. A line without a
    moment or a level of its own, such as one of a stack trace, has those of the line before it.
    """

    file: str | None = Field(default=None, min_length=1, max_length=4096)
    pid: int | None = Field(default=None, ge=1, le=2**31 - 1)
    since: Timestamp | None = None
    until: Timestamp | None = None
    level: LogLevel | None = None
    text: str | None = Field(default=None, min_length=1, max_length=1000)
    limit: int = Field(default=100, ge=1, le=10_000)
    cursor: str | None = Field(default=None, max_length=100)


class LogEntry(Model):
    """One line. `time` and `level` are null where neither the line nor one before it tells them."""

    time: Timestamp | None = None
    level: LogLevel | None = None
    message: str
    source: str
