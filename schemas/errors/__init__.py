"""Every error that Nexus tells, as one tree; each class knows its type, code and exit status.

    NexusError
    ├── ParseError           PARSE_ERROR             2   the words cannot be read
    │   ├── UnknownOption    UNKNOWN_OPTION          2
    │   ├── AmbiguousCommand AMBIGUOUS_COMMAND       2
    │   ├── NotOffered       COMMAND_NOT_OFFERED     2   the command wants a command line of its own
    │   └── InputInvalid     INPUT_INVALID           2   --input is no JSON object
    ├── ValidationError      VALIDATION_ERROR        2
    │   ├── ConfigInvalid    CONFIG_INVALID          2
    │   ├── ConfirmationRequired CONFIRMATION_REQUIRED 2
    │   ├── QueryInvalid     QUERY_INVALID           2
    │   ├── RequestTooLarge  REQUEST_TOO_LARGE       2
    │   └── PathOutsideRoot  PATH_OUTSIDE_ROOT       2
    ├── AuthError            AUTHENTICATION_REQUIRED 3
    │   ├── AuthInvalid      AUTHENTICATION_INVALID  3
    │   │   └── TokenExpired TOKEN_EXPIRED           3
    │   ├── AiKeyMissing     AI_KEY_MISSING          3   a model's provider wants a key
    │   ├── AiKeyRefused     AI_KEY_REFUSED          3
    │   └── AiSignInRequired AI_SIGN_IN_REQUIRED     3   a coding agent is not signed in
    ├── PermissionDenied     PERMISSION_DENIED       3
    │   ├── RegistrationClosed REGISTRATION_CLOSED   3
    │   ├── UrlRefused       URL_REFUSED             3   …URL_EXPIRED
    │   ├── VaultDenied      VAULT_DENIED            3   the Vault's policies do not let the kernel
    │   ├── PluginUntrusted  PLUGIN_UNTRUSTED        3
    │   └── PluginRightMissing PLUGIN_RIGHT_MISSING  3   it did what nobody granted
    ├── NotFound             RESOURCE_NOT_FOUND      4
    │   └── CommandNotFound  COMMAND_NOT_FOUND       4
    ├── BackendError         BACKEND_ERROR           5   …and RATE_LIMITED, storage, transfer, git, program, AI ones
    │   └── VaultFailed      VAULT_FAILED            5   …and VAULT_UNAVAILABLE, VAULT_SEALED, VAULT_SIGN_IN_FAILED
    ├── TimeoutExceeded      TIMEOUT                 5
    │   └── RequestSlow      REQUEST_SLOW            5
    ├── Conflict             RESOURCE_CONFLICT       6
    │   ├── VersionConflict  VERSION_CONFLICT        6
    │   ├── AuditBroken      AUDIT_BROKEN            6   the audit chain is not as it was written
    │   ├── FolderOwned      FOLDER_OWNED            6   another kernel has the data folder
    │   ├── UploadExpired    UPLOAD_EXPIRED          6   …UPLOAD_INCOMPLETE
    │   ├── FileChanged      FILE_CHANGED            6   while it was read
    │   ├── TransferBusy     TRANSFER_BUSY           6   another command moves the same bytes
    │   └── PluginConflict   PLUGIN_CONFLICT         6   a path is taken, or what it needs is not there
    ├── ContextMissing       CONTEXT_MISSING         7
    │   └── ContextStale     CONTEXT_STALE           7   the selection's target was deleted
    ├── SessionError         …                       8   see the Session ABI
    ├── Interrupted          INTERRUPTED           130   …TERMINATED 143, HUNG_UP 129, READER_GONE 141
    ├── PluginError          PLUGIN_ERROR            1   a plugin's code raised
    │   ├── PluginInvalid    PLUGIN_INVALID          1   its manifest cannot be used
    │   └── PluginCrashed    PLUGIN_CRASHED          1   its worker process ended
    └── InternalError        INTERNAL_ERROR          1
        └── ExecutionError   EXECUTION_ERROR         1   a handler raised

An error carries data; its sentence is built from the data. What it carries reaches the envelope as `details`. A class
lives in the module of its kind; everybody imports it from here.
"""

from nexus.schemas.errors.access import (
    AiKeyMissing,
    AiKeyRefused,
    AiSignInRequired,
    AuthError,
    AuthInvalid,
    PermissionDenied,
    PluginRightMissing,
    PluginUntrusted,
    RegistrationClosed,
    TokenExpired,
    UrlExpired,
    UrlRefused,
    VaultDenied,
)
from nexus.schemas.errors.backend import (
    AiBackendFailed,
    AiBackendMissing,
    AiRateLimited,
    AiRequestRefused,
    BackendError,
    BackendUnavailable,
    ChecksumMismatch,
    ExtraMissing,
    GitFailed,
    OutcomeUnknown,
    OutputFailed,
    ProgramFailed,
    ProgramMissing,
    RateLimited,
    RequestSlow,
    ResidentUnavailable,
    ScriptInvalid,
    StorageCorrupt,
    StorageFull,
    StorageLocked,
    StorageReadOnly,
    StorageUnsupported,
    TimeoutExceeded,
    TransferBroken,
    VaultFailed,
    VaultSealed,
    VaultSignInFailed,
    VaultUnavailable,
)
from nexus.schemas.errors.ending import (
    HungUp,
    Interrupted,
    ReaderGone,
    Terminated,
)
from nexus.schemas.errors.error import (
    ErrorType,
    NexusError,
    ReportedError,
    clipped,
)
from nexus.schemas.errors.inside import (
    ExecutionError,
    InternalError,
    OutputInvalid,
    PluginCrashed,
    PluginError,
    PluginInvalid,
)
from nexus.schemas.errors.session import (
    ConnectionLost,
    ResourceUnavailable,
    SessionClosed,
    SessionError,
    SessionExpired,
    SessionGap,
    SessionNotFound,
    SessionTypeMismatch,
)
from nexus.schemas.errors.state import (
    AuditBroken,
    CommandNotFound,
    Conflict,
    ContextMissing,
    ContextStale,
    FileChanged,
    FolderOwned,
    NotFound,
    PluginConflict,
    TransferBusy,
    UploadExpired,
    UploadIncomplete,
    VersionConflict,
)
from nexus.schemas.errors.usage import (
    AmbiguousCommand,
    ConfigInvalid,
    ConfirmationRequired,
    InputInvalid,
    NotOffered,
    ParseError,
    PathOutsideRoot,
    QueryInvalid,
    RequestTooLarge,
    UnknownOption,
    ValidationError,
)

__all__ = [
    "AiBackendFailed",
    "AiBackendMissing",
    "AiKeyMissing",
    "AiKeyRefused",
    "AiRateLimited",
    "AiRequestRefused",
    "AiSignInRequired",
    "AmbiguousCommand",
    "AuditBroken",
    "AuthError",
    "AuthInvalid",
    "BackendError",
    "BackendUnavailable",
    "ChecksumMismatch",
    "CommandNotFound",
    "ConfigInvalid",
    "ConfirmationRequired",
    "Conflict",
    "ConnectionLost",
    "ContextMissing",
    "ContextStale",
    "ErrorType",
    "ExecutionError",
    "ExtraMissing",
    "FileChanged",
    "FolderOwned",
    "GitFailed",
    "HungUp",
    "InputInvalid",
    "InternalError",
    "Interrupted",
    "NexusError",
    "NotFound",
    "NotOffered",
    "OutcomeUnknown",
    "OutputFailed",
    "OutputInvalid",
    "ParseError",
    "PathOutsideRoot",
    "PermissionDenied",
    "PluginConflict",
    "PluginCrashed",
    "PluginError",
    "PluginInvalid",
    "PluginRightMissing",
    "PluginUntrusted",
    "ProgramFailed",
    "ProgramMissing",
    "QueryInvalid",
    "RateLimited",
    "ReaderGone",
    "RegistrationClosed",
    "ReportedError",
    "RequestSlow",
    "RequestTooLarge",
    "ResidentUnavailable",
    "ResourceUnavailable",
    "ScriptInvalid",
    "SessionClosed",
    "SessionError",
    "SessionExpired",
    "SessionGap",
    "SessionNotFound",
    "SessionTypeMismatch",
    "StorageCorrupt",
    "StorageFull",
    "StorageLocked",
    "StorageReadOnly",
    "StorageUnsupported",
    "Terminated",
    "TimeoutExceeded",
    "TokenExpired",
    "TransferBroken",
    "TransferBusy",
    "UnknownOption",
    "UploadExpired",
    "UploadIncomplete",
    "UrlExpired",
    "UrlRefused",
    "ValidationError",
    "VaultDenied",
    "VaultFailed",
    "VaultSealed",
    "VaultSignInFailed",
    "VaultUnavailable",
    "VersionConflict",
    "clipped",
]
