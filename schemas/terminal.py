"""Terminals: what one is opened with, and the screen that a reader who comes later starts from."""

from pydantic import Field

from nexus.schemas.model import Model, StrictModel
from nexus.schemas.secret import SecretNames

IDLE_SECONDS = 600.0
GRACE_SECONDS = 30.0


class TerminalOptions(StrictModel):
    """The options of a session of type terminal.

    `cwd` is a folder of the project. `command` is run by the shell in place of an interactive one, and ended after
    `timeout_seconds`. An idle terminal (nobody reads, nothing comes or goes, no job runs) is closed after
    `idle_seconds`. For `grace_seconds` after its program ended it can be restarted with the surroundings that it had,
    and so long others may hold its terminal open. `secrets` are named; their values are in its environment.
    """

    cwd: str = Field(default=".", min_length=1, max_length=4096)
    secrets: SecretNames = Field(default_factory=list)
    shell: str | None = Field(default=None, min_length=1, max_length=4096)
    columns: int = Field(default=80, ge=1, le=10_000)
    rows: int = Field(default=24, ge=1, le=10_000)
    command: str | None = Field(default=None, min_length=1, max_length=100_000)
    timeout_seconds: float | None = Field(default=None, gt=0, le=365 * 24 * 3600)
    idle_seconds: float | None = Field(default=IDLE_SECONDS, gt=0, le=365 * 24 * 3600)
    grace_seconds: float = Field(default=GRACE_SECONDS, ge=0, le=24 * 3600)


class TerminalScreen(Model):
    """What a terminal of this size shows first; what comes behind event `after` of `epoch` goes on from there.

    A full-screen program is asked to paint itself anew: that comes behind `after` too.
    """

    content: str
    epoch: int
    after: int
    columns: int
    rows: int
