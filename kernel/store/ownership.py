"""One kernel owns a data folder: a lock in it says who, and ends with its process however that ends."""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus.schemas.errors import FolderOwned

LOCK_NAME = "kernel.lock"
MOST_BYTES = 8192


@dataclass(slots=True)
class Ownership:
    """The lock as held by this process. It goes with `release`, or with the process."""

    data_folder: Path
    descriptor: int

    def release(self) -> None:
        """Let others own the folder. Calling it again does nothing."""
        if self.descriptor >= 0:
            # The name stays: removing it would let two owners hold locks on two files of one name.
            os.ftruncate(self.descriptor, 0)
            os.close(self.descriptor)
            self.descriptor = -1


def acquire(data_folder: Path, socket: Path | None) -> Ownership:
    """Own the folder, or raise `FolderOwned` with the owner's `pid` and `socket` (None when it has none).

    The folder must exist. Returns at once either way.
    """
    path = data_folder / LOCK_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        owner = {"pid": os.getpid(), "socket": str(socket) if socket else None}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
    except BlockingIOError:
        owner = _read_owner(descriptor)
        os.close(descriptor)
        raise FolderOwned(path=str(data_folder), pid=owner.get("pid"), socket=owner.get("socket")) from None
    except BaseException:
        os.close(descriptor)
        raise
    return Ownership(data_folder, descriptor)


def _read_owner(descriptor: int) -> dict[str, Any]:
    try:
        owner = json.loads(os.pread(descriptor, MOST_BYTES, 0))
    except ValueError:
        # The owner has the lock and has not written yet.
        return {}
    return owner if isinstance(owner, dict) else {}
