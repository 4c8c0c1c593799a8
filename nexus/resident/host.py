"""The resident as its kernel sees it."""

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from nexus.kernel.host import HostMode
from nexus.schemas.kernel import LiveCounts


class ResidentHost:
    """A `KernelHost`. `stop` returns at once: the command that asked is answered before the process ends."""

    mode: HostMode = "resident"

    def __init__(self, socket: Path, commands: Callable[[], int], stop: Callable[[bool], None]) -> None:
        self.socket: Path | None = socket
        self.started_at = datetime.now(UTC)
        self._commands = commands
        self._stop = stop

    def live(self) -> LiveCounts:
        """Return how many commands are under way."""
        return LiveCounts(commands=self._commands())

    def stop(self, restart: bool) -> None:
        """Finish what is under way, then end; with `restart` another takes the place."""
        self._stop(restart)


class ServerHost:
    """A process that is a server and nothing else. To stop it is to send it the signal that ends a server."""

    mode: HostMode = "server"

    def __init__(self, socket: Path | None) -> None:
        self.socket = socket
        self.started_at = datetime.now(UTC)

    def live(self) -> LiveCounts:
        """Return nothing of its own: the kernel's parts tell what is at work."""
        return LiveCounts()

    def stop(self, restart: bool) -> None:  # noqa: ARG002 -- the interface's
        """End; who started the server (systemd, a container) starts another, if that is wanted."""
        os.kill(os.getpid(), signal.SIGTERM)
