"""What the API may answer instead, as commands declare it in `errors`."""

from nexus.schemas.errors import (
    AuthError,
    AuthInvalid,
    BackendUnavailable,
    ConfigInvalid,
    ExtraMissing,
    NexusError,
    OutcomeUnknown,
    PermissionDenied,
    StorageCorrupt,
    StorageFull,
    StorageLocked,
    StorageReadOnly,
    TimeoutExceeded,
    ValidationError,
    VaultDenied,
    VaultFailed,
    VaultSealed,
    VaultSignInFailed,
    VaultUnavailable,
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

FROM_VAULT: tuple[type[NexusError], ...] = (
    VaultDenied,
    VaultFailed,
    VaultSealed,
    VaultSignInFailed,
    VaultUnavailable,
    ConfigInvalid,
    ExtraMissing,
)
"""Any command for which the kernel asks the Vault that keeps its secrets, where it has one."""
