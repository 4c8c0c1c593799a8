"""Files that a caller names: a pipe without a writer must hold nobody, and no device be taken for a file."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file to read its bytes, at once whatever lies at the path.

    Raises `OSError` as the system words it, `ESPIPE` for a pipe, `EISDIR` for a folder.
    """
    descriptor = os.open(path, FLAGS)
    try:
        _refuse_pipe(os.fstat(descriptor).st_mode, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _refuse_pipe(mode: int, path: str | Path) -> None:
    if stat.S_ISFIFO(mode):
        raise OSError(errno.ESPIPE, "It is a pipe and no file", str(path))


def expect_regular(path: Path) -> None:
    """Raise `OSError` (`EINVAL`) where a device, a pipe or a folder is that a file is to take the place of.

    Root may put a file in the place of `/dev/null`.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise OSError(errno.EINVAL, "It is no regular file", str(path))


def is_utf8(path: str) -> bool:
    """Say whether a path can be told of in JSON: what the system gives may hold any bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
