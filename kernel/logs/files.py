"""A log file, read from its end and followed: over rotation, truncation, and before it is there."""

import os
import stat
from dataclasses import dataclass

from nexus.schemas.errors import NotFound, PermissionDenied, ValidationError

CHUNK = 256 * 1024
OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Piece:
    """What a file had next, and the `offset` behind it. `anew`: another file begins, or this one was cut short."""

    data: bytes
    offset: int
    anew: bool = False


class LogFile:
    """A file by its path: when another takes its name, that one is read once this one is through.

    `offset` begins there; None begins before the last `lines` lines.
    """

    def __init__(self, path: str, *, lines: int = 0, offset: int | None = None) -> None:
        self.path = path
        self.offset = offset or 0
        self._lines = lines if offset is None else None
        self._file = -1

    @property
    def identity(self) -> str:
        """Which file it is, whatever its name: empty while there is none."""
        if self._file < 0:
            return ""
        status = os.fstat(self._file)
        return f"{status.st_dev}:{status.st_ino}"

    def open(self) -> bool:
        """Open the file that is there now. Returns False where there is none. Raises `PermissionDenied`."""
        try:
            file = opened(self.path)
        except NotFound:
            return False
        self.close()
        self._file = file
        if self._lines is not None:
            self.offset = tail_offset(file, self._lines)
            self._lines = None
        return True

    def read(self) -> Piece | None:
        """Return what comes next, None when there is nothing new. Raises `PermissionDenied` for a new file not ours."""
        anew = False
        if self._file < 0:
            # A file that comes later is read from its beginning.
            self._lines = None
            if not self.open():
                return None
        elif os.fstat(self._file).st_size < self.offset:
            self.offset, anew = 0, True
        data = os.pread(self._file, CHUNK, self.offset)
        if not data and self._replaced():
            # Once more: it may have been written to until it was renamed.
            data = os.pread(self._file, CHUNK, self.offset)
            if not data and self.open():
                self.offset, anew = 0, True
                data = os.pread(self._file, CHUNK, 0)
        self.offset += len(data)
        return Piece(data, self.offset, anew) if data or anew else None

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _replaced(self) -> bool:
        """Whether another file has the name."""
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        here = os.fstat(self._file)
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


def opened(path: str) -> int:
    """Open a regular file for reading. Raises `NotFound`, `PermissionDenied`, `ValidationError`."""
    try:
        file = os.open(path, OPEN)
    except FileNotFoundError:
        raise NotFound(resource="file", reference=path) from None
    except (PermissionError, NotADirectoryError, OSError) as error:
        raise PermissionDenied.because(f"{path} cannot be read: {error.strerror}.", path=path) from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ValidationError.because(f"{path} is no regular file.", field="file")
    return file


def tail_offset(file: int, lines: int) -> int:
    """Return where the last `lines` lines begin; a last line without its end counts as one."""
    end = os.fstat(file).st_size
    if lines <= 0:
        return end
    place = end
    # The end of the last line is no line of its own.
    wanted = lines + (end > 0 and os.pread(file, 1, end - 1) == b"\n")
    while place > 0:
        start = max(0, place - CHUNK)
        block = os.pread(file, place - start, start)
        found = block.count(b"\n")
        if found >= wanted:
            at = len(block)
            for _ in range(wanted):
                at = block.rfind(b"\n", 0, at)
            return start + at + 1
        wanted -= found
        place = start
    return 0
