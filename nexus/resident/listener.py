"""The resident's socket in the file system: bound without a moment in which nobody listens, and bound again if lost."""

import os
import socket
from contextlib import suppress
from pathlib import Path

from nexus.launcher.exchange import private
from nexus.launcher.starter import make_private

BACKLOG = 4096


class Listener:
    """One listening socket at one path. The folder is ours alone, or nothing is bound."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bound: tuple[int, int] | None = None

    def bind(self) -> socket.socket:
        """Return a new listening socket at the path, in the place of whatever is there.

        The caller holds the owner's lock, so what is there listens no more. Raises `OSError` and `Unavailable`.
        """
        make_private(str(self.path.parent))
        private(str(self.path.parent))
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # No longer than the name it takes the place of, and nobody else's.
        fresh = self.path.with_name(f".{os.getpid()}")
        try:
            listening.setblocking(False)
            with suppress(FileNotFoundError):
                fresh.unlink()
            listening.bind(str(fresh))
            fresh.chmod(0o600)
            listening.listen(BACKLOG)
            fresh.rename(self.path)
        except BaseException:
            listening.close()
            raise
        found = self.path.lstat()
        self._bound = (found.st_dev, found.st_ino)
        return listening

    def lost(self) -> bool:
        """Say whether the path does not lead to our socket any more."""
        try:
            found = self.path.lstat()
        except OSError:
            return True
        return self._bound != (found.st_dev, found.st_ino)

    def remove(self) -> None:
        """Take the path away, if it still leads to us."""
        if not self.lost():
            with suppress(OSError):
                self.path.unlink()
