"""A lock between processes, and between the commands of one process, on a file beside what it guards."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from nexus.schemas.errors import StorageLocked

_WAIT_SECONDS = 10.0
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05


def _try_lock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def held(path: Path, seconds: float = _WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock file `path` while the body runs, as `locked` does. Blocks: it is for threads."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                _try_lock(descriptor)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise StorageLocked(path=str(path)) from error
                time.sleep(_FIRST_PAUSE)
        yield
    finally:
        os.close(descriptor)


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
