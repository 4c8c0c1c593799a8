"""The lock by which one resident holds a set of places, for as long as it lives."""

import fcntl
import os
import secrets
import time
from pathlib import Path

from nexus.launcher.record import Record, write_record

ACQUIRE_SECONDS = 2.0
"""Launchers test the lock for an instant; who holds it longer is a resident."""


class AlreadyOwned(Exception):
    """Another resident holds these places."""


class OwnerLock:
    """Held from its making on. Raises `AlreadyOwned`, and `OSError` where the file system takes no locks."""

    def __init__(self, path: Path, socket: Path) -> None:
        self.instance = f"{os.getpid()}-{secrets.token_hex(8)}".encode()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._path = path
        self._descriptor = os.open(path, flags, 0o600)
        deadline = time.monotonic() + ACQUIRE_SECONDS
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(self._descriptor)
                    raise AlreadyOwned from None
                time.sleep(0.01)
        write_record(self._descriptor, Record(os.getpid(), self.instance, str(socket)))

    def lost(self) -> bool:
        """Say whether the file that we hold is not the one at its path any more: then others may own the places too."""
        held = os.fstat(self._descriptor)
        try:
            found = self._path.lstat()
        except OSError:
            return True
        return (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino)

    def release(self) -> None:
        """Let another hold the places. The file stays: removing it would let two hold two files of one name."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
