"""What PostgreSQL refuses, as errors of ours: one table by SQLSTATE (the manual's appendix A)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.exc import DBAPIError

from nexus.kernel.postgresql.server import STATEMENT_SECONDS, Server
from nexus.kernel.store.failures import storage_error
from nexus.schemas.errors import (
    BackendError,
    BackendUnavailable,
    NexusError,
    StorageCorrupt,
    StorageFull,
    StorageLocked,
    StorageReadOnly,
    TimeoutExceeded,
    ValidationError,
)

BY_STATE: dict[str, type[NexusError]] = {
    "25006": StorageReadOnly,  # read_only_sql_transaction: a standby
    "25P03": BackendUnavailable,  # idle_in_transaction_session_timeout: the server has undone it
    "40001": StorageLocked,  # serialization_failure
    "40P01": StorageLocked,  # deadlock_detected
    "42501": StorageReadOnly,  # insufficient_privilege
    "53100": StorageFull,  # disk_full
    "55P03": StorageLocked,  # lock_not_available: the turn to write did not come in time
    "57014": TimeoutExceeded,  # query_canceled, by statement_timeout
    "58030": BackendError,  # io_error
    "XX001": StorageCorrupt,  # data_corrupted
    "XX002": StorageCorrupt,  # index_corrupted
}

BY_CLASS: dict[str, type[NexusError]] = {
    "08": BackendUnavailable,  # connection exceptions
    "22": ValidationError,  # data exceptions: a text or a number that no column takes
    "28": BackendUnavailable,  # invalid authorization
    "3D": BackendUnavailable,  # invalid catalog name: there is no such database
    "53": BackendUnavailable,  # insufficient resources: connections, memory
    "57": BackendUnavailable,  # operator intervention: it stops, starts or crashed
}

RIGHTS = "Give the database's user the right to read, write and create tables there."


def database_error(error: psycopg.Error, server: Server) -> NexusError | None:
    """Return the error that a refusal stands for, None when it is no matter of storage (a bug of ours)."""
    state = error.sqlstate
    kind = _of_the_driver(error) if state is None else BY_STATE.get(state) or BY_CLASS.get(state[:2])
    reason = server.without_secrets(str(error))
    if kind is None:
        return None
    if kind is TimeoutExceeded:
        return TimeoutExceeded(seconds=STATEMENT_SECONDS, path=server.name)
    if kind is ValidationError:
        return ValidationError.because(f"The database does not take a value: {reason}", path=server.name)
    if kind in (BackendUnavailable, BackendError):
        return kind.because(f"The database {server.name} cannot be used: {reason}", path=server.name)
    if kind is StorageReadOnly:
        return StorageReadOnly(path=server.name, reason=reason, hint=RIGHTS)
    return kind(path=server.name, reason=reason)


@contextmanager
def told_by(server: Server) -> Iterator[None]:
    """Raise what the server, or a file system, refuses as the error that it stands for; anything else passes."""
    try:
        yield
    except DBAPIError as error:
        known = database_error(error.orig, server) if isinstance(error.orig, psycopg.Error) else None
        if known is None:
            raise
        # What came from the driver is not shown as the cause: it may quote an address.
        raise known from None
    except psycopg.Error as error:
        known = database_error(error, server)
        if known is None:
            raise
        raise known from None
    except OSError as error:
        refused = storage_error(error, Path(error.filename or "."))
        if refused is None:
            raise
        raise refused from error


def _of_the_driver(error: psycopg.Error) -> type[NexusError] | None:
    # libpq tells no SQLSTATE of what went wrong before, or instead of, an answer.
    if isinstance(error, psycopg.DataError):
        return ValidationError
    return BackendUnavailable if isinstance(error, psycopg.OperationalError) else None
