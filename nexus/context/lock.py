"""A lock between processes, and between the commands of one process, on a file beside what it guards."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from nexus.schemas.errors import StorageLocked

_WAIT_SECONDS = 10.0
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@asynccontextmanager
async def locked(path: Path, seconds: float = _WAIT_SECONDS) -> AsyncIterator[None]:
    """Hold the lock file `path` while the body runs. Raises `StorageLocked` when it stays taken for `seconds`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = asyncio.get_running_loop().time() + seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                _try_lock(descriptor)
                break
            except OSError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise StorageLocked(path=str(path)) from error
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        yield
    finally:
        os.close(descriptor)
