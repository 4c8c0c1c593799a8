"""A project's folder, opened once: paths below it are opened and read, and never leave it."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from nexus.kernel.files.beneath import SEARCH, Beneath, best
from nexus.schemas.errors import (
    Conflict,
    NexusError,
    NotFound,
    PathOutsideRoot,
    PermissionDenied,
    StorageFull,
    StorageReadOnly,
    ValidationError,
)

# A FIFO must not hold us, a terminal must not become ours.
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
BROWSE = "nexus agent file browse --path ."


@dataclass(frozen=True, slots=True)
class FileData:
    """A regular file's bytes with its status, read through one descriptor."""

    data: bytes
    status: os.stat_result

    @property
    def sha256(self) -> str:
        """The digest of the bytes, in hexadecimal."""
        return digest_of(self.data)


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of the bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class Root:
    """An open folder. Paths are relative, use `/`, and contain no `..`.

    Raises `PathOutsideRoot` for a path that leaves, by its text or by a link; `NotFound`, `PermissionDenied`,
    `ValidationError` for what is not there, not ours, or of another kind than asked for.
    """

    def __init__(self, folder: Path, beneath: Beneath | None = None) -> None:
        self.folder = folder
        self.beneath = beneath or best()
        try:
            self.descriptor = os.open(folder, SEARCH)
        except (OSError, ValueError):
            raise NotFound(resource="folder", reference=str(folder), hint="nexus help agent project update") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    @contextmanager
    def opened(self, path: str, flags: int) -> Iterator[int]:
        """Hold a descriptor of what is at the path; errors of the system inside are told of the path."""
        with told_of(path):
            descriptor = self.beneath(self.descriptor, checked(path), flags)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    def kind(self, path: str) -> Literal["file", "directory", "other"] | None:
        """Return what is at the path, links followed; None where there is nothing."""
        try:
            with self.opened(path, getattr(os, "O_PATH", READ) | os.O_CLOEXEC) as descriptor:
                mode = os.fstat(descriptor).st_mode
        except NotFound:
            return None
        return "directory" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"

    def read(self, path: str, most_bytes: int) -> FileData:
        """Read a regular file whole. Raises `ValidationError` when it has more than `most_bytes`."""
        with self.opened(path, READ) as descriptor:
            return read_file(descriptor, path, most_bytes)


def checked(path: str) -> str:
    """Return the path without empty names and `.`; its text does not leave. Raises `PathOutsideRoot`."""
    names = path.split("/")
    if path.startswith("/") or "\0" in path or ".." in names:
        raise PathOutsideRoot(path=path)
    return "/".join(name for name in names if name not in ("", ".")) or "."


def read_file(descriptor: int, path: str, most_bytes: int) -> FileData:
    """Read what the descriptor is open on, when that is a regular file."""
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise ValidationError.because(
            f"{path} is a folder.", field="path", hint=f"nexus agent file browse --path {path}"
        )
    if not stat.S_ISREG(status.st_mode):
        raise _no_file(path)
    chunks: list[bytes] = []
    size = 0
    while size <= most_bytes and (chunk := os.read(descriptor, min(1 << 20, most_bytes + 1 - size))):
        chunks.append(chunk)
        size += len(chunk)
    if size > most_bytes:
        raise ValidationError.because(
            f"{path} has {max(size, status.st_size)} bytes, and at most {most_bytes} are taken at once.", field="path"
        )
    return FileData(b"".join(chunks), status)


@contextmanager
def told_of(path: str) -> Iterator[None]:
    """Raise what the system refuses as the error that it stands for, with the path; a bug of ours passes as it is."""
    try:
        yield
    except OSError as error:
        known = _told(error.errno or 0, path)
        if known is None:
            raise
        raise known from None


def _told(number: int, path: str) -> NexusError | None:
    make = ERRORS.get(number)
    return make(path) if make else None


def _no_file(path: str) -> NexusError:
    return ValidationError.because(f"{path} is no regular file.", field="path", hint=BROWSE)


def _no_folder(path: str) -> NexusError:
    return ValidationError.because(f"{path}, or a part of it, is no folder.", field="path", hint=BROWSE)


def _no_name(path: str) -> NexusError:
    return ValidationError.because(f"{path!r} can be no file's name.", field="path")


def _a_folder(path: str) -> NexusError:
    return ValidationError.because(f"{path} is a folder.", field="path", hint=f"nexus agent file browse --path {path}")


def _leaves(path: str) -> NexusError:
    return PathOutsideRoot(path=path)


def _missing(path: str) -> NexusError:
    return NotFound(resource="file", reference=path, hint=BROWSE)


def _not_ours(path: str) -> NexusError:
    return PermissionDenied.because(f"{path} is not yours to open or to change.", path=path)


def _moved(path: str) -> NexusError:
    return Conflict.because(f"{path} was moved while it was opened.", hint="Run the command again.")


def _full(path: str) -> NexusError:
    return StorageFull(path=path)


def _read_only(path: str) -> NexusError:
    return StorageReadOnly(path=path, hint="The project's folder is on a read-only file system.")


ERRORS: dict[int, Callable[[str], NexusError]] = {
    errno.EXDEV: _leaves,
    errno.ELOOP: _leaves,
    errno.ENOENT: _missing,
    errno.ENOTDIR: _no_folder,
    errno.EISDIR: _a_folder,
    errno.ENAMETOOLONG: _no_name,
    errno.EINVAL: _no_name,
    errno.EILSEQ: _no_name,
    errno.ENXIO: _no_file,
    errno.ENODEV: _no_file,
    errno.EOPNOTSUPP: _no_file,
    errno.EACCES: _not_ours,
    errno.EPERM: _not_ours,
    errno.EAGAIN: _moved,
    errno.ENOSPC: _full,
    errno.EDQUOT: _full,
    errno.EROFS: _read_only,
}
"""What the system refuses, and the error that it is told as."""
