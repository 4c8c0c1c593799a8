"""What SQLite and the file system refuse, as errors of ours: one table each."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from nexus.schemas.errors import (
    BackendError,
    NexusError,
    StorageCorrupt,
    StorageFull,
    StorageLocked,
    StorageReadOnly,
)

BY_EXTENDED_CODE: dict[int, type[BackendError]] = {
    sqlite3.SQLITE_IOERR_SHMSIZE: StorageFull,  # the file beside a WAL could not grow
    sqlite3.SQLITE_IOERR_SHMOPEN: StorageReadOnly,
    # SQLITE_IOERR_CORRUPTFS, which the module has only where SQLite is of 2020 or later.
    sqlite3.SQLITE_IOERR | 33 << 8: StorageCorrupt,
}

BY_CODE: dict[int, type[BackendError]] = {
    sqlite3.SQLITE_BUSY: StorageLocked,
    sqlite3.SQLITE_LOCKED: StorageLocked,
    sqlite3.SQLITE_PROTOCOL: StorageLocked,  # a race for the WAL's locks, lost for five seconds
    sqlite3.SQLITE_READONLY: StorageReadOnly,
    sqlite3.SQLITE_PERM: StorageReadOnly,
    sqlite3.SQLITE_CANTOPEN: StorageReadOnly,
    sqlite3.SQLITE_AUTH: StorageReadOnly,
    sqlite3.SQLITE_CORRUPT: StorageCorrupt,
    sqlite3.SQLITE_NOTADB: StorageCorrupt,
    sqlite3.SQLITE_FULL: StorageFull,
}

BY_ERRNO: dict[int, type[BackendError]] = {
    errno.EACCES: StorageReadOnly,
    errno.EPERM: StorageReadOnly,
    errno.EROFS: StorageReadOnly,
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
}


def storage_error(error: sqlite3.Error | OSError, path: Path) -> NexusError | None:
    """Return the error that a refusal stands for, None when it is no matter of storage (a bug of ours)."""
    if isinstance(error, OSError):
        kind = BY_ERRNO.get(error.errno or 0)
    else:
        code = getattr(error, "sqlite_errorcode", 0)
        kind = BY_EXTENDED_CODE.get(code) or BY_CODE.get(code & 0xFF)
        if kind is None and code & 0xFF == sqlite3.SQLITE_IOERR:
            return BackendError.because(f"The disk failed under the database {path}: {error}.", path=str(path))
    if kind is StorageCorrupt:
        return StorageCorrupt(path=str(path), reason=str(error))
    return kind(path=str(path)) if kind else None


@contextmanager
def told_as_storage(path: Path) -> Iterator[None]:
    """Raise what storage refuses as the error that it stands for; anything else passes as it is."""
    try:
        yield
    except DBAPIError as error:
        original = error.orig
        known = storage_error(original, path) if isinstance(original, sqlite3.Error) else None
        if known is None:
            raise
        raise known from error
    except (sqlite3.Error, OSError) as error:
        known = storage_error(error, path)
        if known is None:
            raise
        raise known from error
