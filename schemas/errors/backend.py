"""Errors of what does the work: the kernel, its storage, programs, models, and the time that they take."""

from nexus.schemas.errors.error import NexusError


class BackendError(NexusError):
    """The kernel, or a server, failed or answered what cannot be read."""

    type = "backend"
    code = "BACKEND_ERROR"
    exit_status = 5
    hint = "nexus debug kernel status"


class BackendUnavailable(BackendError):
    """The kernel, or a server, cannot be reached."""

    code = "BACKEND_UNAVAILABLE"
    retryable = True


class RateLimited(BackendError):
    """The server takes no more requests from you for now; `retryAfterMs` says for how long."""

    code = "RATE_LIMITED"
    retryable = True
    sentence = "The server takes no more requests for now."
    hint = "Run the command again after the time in retryAfterMs."


class ResidentUnavailable(BackendError):
    """The resident process does not start, does not answer, or must not be trusted."""

    code = "RESIDENT_UNAVAILABLE"
    hint = "NEXUS_RESIDENT=0 runs a command without it."


class OutputFailed(BackendError):
    """stdout cannot be written to: it is closed, or its disk is full. The error is on stderr."""

    code = "OUTPUT_FAILED"
    sentence = "stdout cannot be written to: {reason}."
    hint = "Give it a stdout that takes what it prints."


class OutcomeUnknown(BackendError):
    """The connection ended after a write was sent and before it was answered, and it cannot be told which."""

    code = "OUTCOME_UNKNOWN"


class StorageLocked(BackendError):
    """Another process keeps the database locked."""

    code = "STORAGE_LOCKED"
    retryable = True
    sentence = "Another process keeps the database {path} locked."


class StorageReadOnly(BackendError):
    """A folder or a file cannot be written to."""

    code = "STORAGE_READ_ONLY"
    sentence = "{path} cannot be written to."
    hint = "Give yourself write access to it, or set NEXUS_HOME to a folder that you can write to."


class StorageCorrupt(BackendError):
    """The database is damaged."""

    code = "STORAGE_CORRUPT"
    sentence = "The database {path} is damaged: {reason}."
    hint = "Put a copy of the database back, or move the file away and start anew."


class StorageFull(BackendError):
    """No space is left on the disk."""

    code = "STORAGE_FULL"
    retryable = True
    sentence = "No space is left for {path}."
    hint = "Free some space, then run the command again."


class StorageUnsupported(BackendError):
    """The data folder is on a network file system, where locks cannot be trusted."""

    code = "STORAGE_UNSUPPORTED"
    sentence = "{path} is on a network file system ({filesystem}), where locks cannot be trusted."
    hint = "Set NEXUS_HOME to a folder on a local disk."


class VaultFailed(BackendError):
    """The Vault that keeps the secrets answered what cannot be used; its own words are in the message."""

    code = "VAULT_FAILED"
    hint = "nexus settings config view --category vault"


class VaultUnavailable(VaultFailed):
    """The Vault cannot be reached, or takes no requests for now."""

    code = "VAULT_UNAVAILABLE"
    retryable = True
    hint = "See that vault.url is right, and that the Vault runs: nexus settings config view --category vault"


class VaultSealed(VaultUnavailable):
    """The Vault is sealed, and gives nothing to anyone."""

    code = "VAULT_SEALED"
    sentence = "The Vault at {url} is sealed."
    hint = "Unseal it (vault operator unseal, or bao operator unseal), then run the command again."


class VaultSignInFailed(VaultFailed):
    """The Vault does not know the kernel: its token has expired or was revoked, or its role is refused."""

    code = "VAULT_SIGN_IN_FAILED"


class ChecksumMismatch(BackendError):
    """Bytes are not what they were said to be: `expected` and `actual` are SHA-256."""

    code = "CHECKSUM_MISMATCH"
    sentence = "{what} has the SHA-256 {actual}, and {expected} was expected."
    hint = "Run the command again; what was wrong is not kept."


class TransferBroken(BackendError):
    """Bytes could not be moved, however often it was tried; what has arrived is kept for the next try."""

    code = "TRANSFER_BROKEN"
    retryable = True
    hint = "Run the command again: it goes on where it was."


class GitFailed(BackendError):
    """git could not do what it was asked; its own words are in the message."""

    code = "GIT_FAILED"


class ProgramFailed(BackendError):
    """A program of the user's that a command started did not do its work."""

    code = "PROGRAM_FAILED"


class ProgramMissing(BackendError):
    """A program that a command needs is not on the command's PATH."""

    code = "PROGRAM_MISSING"
    sentence = "{resource} was not found: there is no {program} on the PATH."


class ExtraMissing(BackendError):
    """A library that only some users need is not installed; `extra` names the extra that brings it."""

    code = "EXTRA_MISSING"
    sentence = "{feature} needs the extra {extra!r}, which is not installed."
    hint = "pip install 'nexus-cli[{extra}]'"


class AiBackendMissing(BackendError):
    """No back end is there to answer: no key is set and no program found. `available` names what there could be."""

    code = "AI_BACKEND_MISSING"


class AiBackendFailed(BackendError):
    """A back end did not answer, or not in a way that can be read."""

    code = "AI_BACKEND_FAILED"
    retryable = True


class AiRequestRefused(AiBackendFailed):
    """A back end refused the request as it is: no such model, too much text. The same again will not help."""

    code = "AI_REQUEST_REFUSED"
    retryable = False


class AiRateLimited(AiBackendFailed):
    """A model's provider takes no more requests for now; `retryAfterMs` where it says for how long."""

    code = "AI_RATE_LIMITED"
    sentence = "The back end {backend} takes no more requests for now."


class ScriptInvalid(BackendError):
    """The file behind a `script:` back end cannot be used, or does not have what was said."""

    code = "SCRIPT_INVALID"


class TimeoutExceeded(NexusError):
    """There was no answer in time."""

    type = "timeout"
    code = "TIMEOUT"
    exit_status = 5
    retryable = True
    sentence = "No answer within {seconds:g} seconds."
    hint = "Give it longer with --timeout SECONDS."


class RequestSlow(TimeoutExceeded):
    """A request's bytes did not come in time."""

    code = "REQUEST_SLOW"
    sentence = "No byte of the request came for {seconds:g} seconds."
    hint = "Send it again over a better connection."
