"""Files on the caller's disk: written whole or not at all, with the caller's rights."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nexus.schemas.command import Change
from nexus.schemas.errors import BackendError, Conflict, NexusError, StorageFull, StorageReadOnly, ValidationError
from nexus.schemas.regular import expect_regular

WRITING_FILES: tuple[type[NexusError], ...] = (ValidationError, Conflict, StorageReadOnly, StorageFull, BackendError)
"""What `write_whole` raises, as commands declare it in `errors`."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK)
"""What file systems without hard links answer."""


def write_whole(path: Path, data: bytes, *, umask: int, overwrite: bool) -> Change:
    """Write a file under a name of its own, then give it its place at once; say whether it was there. Blocks.

    Raises `Conflict` when there is a file and it is not to be overwritten, `ValidationError` when the folder is none,
    `StorageReadOnly`, `StorageFull`, and `BackendError` for whatever else the disk says; then nothing has changed.
    """
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    with told_of(path):
        change: Change = "updated" if os.path.lexists(path) else "created"
        _write(draft, data, 0o666 & ~umask)
        try:
            place(draft, path, overwrite=overwrite)
        finally:
            with suppress(FileNotFoundError):
                draft.unlink()
    return change


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Raise what the disk refuses as an error of ours about the file that was to be there."""
    try:
        yield
    except OSError as error:
        raise _told(error, path) from error


def _write(draft: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink()
        raise


def place(draft: Path, path: Path, *, overwrite: bool) -> None:
    """Give a whole file its name at once; the draft's own name may stay. Raises `FileExistsError` and `OSError`."""
    if overwrite:
        expect_regular(path)
        draft.replace(path)
        return
    try:
        # Unlike a rename, a link never takes the place of what is there.
        os.link(draft, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        draft.rename(path)


def _told(error: OSError, path: Path) -> NexusError:
    if error.errno == errno.EEXIST:
        return Conflict.because(
            f"{path} is there already.", field="to", hint="Give it with --overwrite, or another name."
        )
    if error.errno in NO_SPACE:
        return StorageFull(path=str(path))
    if error.errno in NO_RIGHT:
        return StorageReadOnly(path=str(path), hint="Give yourself write access to its folder, or name another place.")
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
        return ValidationError.because(f"{path} cannot be a file: {error.strerror}.", field="to")
    return BackendError.because(f"{path} cannot be written: {error.strerror or error}.", path=str(path))
