"""What the API may answer instead, as commands declare it in `errors`."""

from nexus.schemas.errors import (
    AuthError,
    AuthInvalid,
    BackendUnavailable,
    NexusError,
    OutcomeUnknown,
    PermissionDenied,
    StorageCorrupt,
    StorageFull,
    StorageLocked,
    StorageReadOnly,
    TimeoutExceeded,
    ValidationError,
)

READING: tuple[type[NexusError], ...] = (
    ValidationError,
    AuthError,
    AuthInvalid,
    PermissionDenied,
    BackendUnavailable,
    StorageLocked,
    StorageCorrupt,
    TimeoutExceeded,
)
"""Any command that asks the API for something."""

WRITING: tuple[type[NexusError], ...] = (*READING, OutcomeUnknown, StorageReadOnly, StorageFull)
"""Any command that has the API change something."""
