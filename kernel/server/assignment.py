"""What a worker is told when it is started, on the socket between it and the kernel's owner.

Behind the assignment the owner says `metrics` and `stop`, a line each. The worker says lines of its access log as they
are to be written, and lines that begin with `=`: that it is ready, and what it has counted.
"""

from pathlib import Path
from typing import Any

from nexus.kernel.server.options import ServerOptions
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.model import Model

METRICS, STOP = b"metrics\n", b"stop\n"
SAYS = b"="
MOST_LINE = 1024 * 1024


class Assignment(Model):
    """`listening` and `memory` are descriptors that the worker was started with, `socket` is the owner's own."""

    listening: int
    memory: int
    socket: str
    data_folder: Path
    projects: Path
    options: ServerOptions
    tls: tuple[Path, Path] | None = None
    secret: str | None = None
    database_url: str | None = None
    database_environment: dict[str, str] = {}

    @property
    def settings(self) -> KernelSettings:
        """What the kernel was opened with."""
        address = None
        if self.database_url is not None:
            address = DatabaseAddress(self.database_url, self.database_environment)
        return KernelSettings(self.secret, address)


class Said(Model):
    """A line of a worker's."""

    ready: bool = False
    memory_bytes: int = 0
    metrics: dict[str, Any] | None = None
