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
    │   └── PathOutsideRoot  PATH_OUTSIDE_ROOT       2
    ├── AuthError            AUTHENTICATION_REQUIRED 3
    │   ├── AuthInvalid      AUTHENTICATION_INVALID  3
    │   ├── AiKeyMissing     AI_KEY_MISSING          3   a model's provider wants a key
    │   ├── AiKeyRefused     AI_KEY_REFUSED          3
    │   └── AiSignInRequired AI_SIGN_IN_REQUIRED     3   a coding agent is not signed in
    ├── PermissionDenied     PERMISSION_DENIED       3
    ├── NotFound             RESOURCE_NOT_FOUND      4
    │   └── CommandNotFound  COMMAND_NOT_FOUND       4
    ├── BackendError         BACKEND_ERROR           5   …and the storage, git, program, AI and resident errors below it
    ├── TimeoutExceeded      TIMEOUT                 5
    ├── Conflict             RESOURCE_CONFLICT       6
    │   ├── VersionConflict  VERSION_CONFLICT        6
    │   └── FolderOwned      FOLDER_OWNED            6   another kernel has the data folder
    ├── ContextMissing       CONTEXT_MISSING         7
    │   └── ContextStale     CONTEXT_STALE           7   the selection's target was deleted
    ├── SessionError         …                       8   see the Session ABI
    ├── Interrupted          INTERRUPTED           130   …TERMINATED 143, HUNG_UP 129, READER_GONE 141
    ├── PluginError          PLUGIN_ERROR            1
    └── InternalError        INTERNAL_ERROR          1
        └── ExecutionError   EXECUTION_ERROR         1   a handler raised

An error carries data; its sentence is built from the data. What it carries reaches the envelope as `details`.
"""

from typing import Any, ClassVar, Literal, Self

from pydantic.alias_generators import to_camel

from nexus.schemas.envelope import ErrorEntry

ErrorType = Literal[
    "parse",
    "validation",
    "context",
    "auth",
    "permission",
    "not_found",
    "conflict",
    "session",
    "backend",
    "timeout",
    "interrupted",
    "plugin",
    "internal",
]


def clipped(text: str, most: int = 200) -> str:
    """Shorten what an error quotes of its input."""
    return text if len(text) <= most else text[:most] + "…"


class NexusError(Exception):
    """An error as a value: `type`, `code` and `exit_status` of its class, a sentence and details of its own.

    `sentence` is a format string over the keyword data; the data reaches `details` under camelCase names.
    """

    type: ClassVar[ErrorType] = "internal"
    code: ClassVar[str] = "INTERNAL_ERROR"
    exit_status: ClassVar[int] = 1
    sentence: ClassVar[str] = "{reason}"
    hint: ClassVar[str | None] = None
    retryable: ClassVar[bool] = False

    def __init__(self, *, hint: str | None = None, retry_after_ms: int | None = None, **data: Any) -> None:
        self.data = data
        self.own_hint = hint
        self.retry_after_ms = retry_after_ms
        super().__init__(data)

    def __str__(self) -> str:
        return self.sentence.format(**self.data)

    def entry(self) -> ErrorEntry:
        """Return the error as the envelope and the event carry it; a reason that is the message is not told twice."""
        details: dict[str, Any] = {
            "hint": self.own_hint or (self.hint.format(**self.data) if self.hint else None),
            "retryable": self.retryable,
            "retryAfterMs": self.retry_after_ms,
            "exitCode": self.exit_status,
            **{
                to_camel(name): value
                for name, value in self.data.items()
                if name != "reason" or self.sentence != "{reason}"
            },
        }
        return ErrorEntry(
            type=self.type,
            code=self.code,
            message=str(self),
            details={name: value for name, value in details.items() if value is not None},
        )

    def entries(self) -> list[ErrorEntry]:
        """Return what the envelope's `errors` hold: this error, or each of several found at once."""
        return [self.entry()]

    @classmethod
    def because(cls, reason: str, *, hint: str | None = None, **data: Any) -> Self:
        """Make the error with a sentence of its own, for classes whose sentence is `{reason}`."""
        return cls(reason=reason, hint=hint, **data)


class ReportedError(NexusError):
    """An error that came over the wire, already in its final form: told on as it was told to us."""

    def __init__(self, reported: ErrorEntry) -> None:
        super().__init__()
        self.reported = reported

    @property
    def reported_exit_status(self) -> int:
        """The exit status that the error names, 1 when it names none."""
        status = self.reported.details.get("exitCode", 1)
        return status if isinstance(status, int) else 1

    def __str__(self) -> str:
        return self.reported.message

    def entry(self) -> ErrorEntry:
        return self.reported


class ParseError(NexusError):
    """The words of a command line cannot be read."""

    type = "parse"
    code = "PARSE_ERROR"
    exit_status = 2
    hint = "nexus help"


class UnknownOption(ParseError):
    """The command, and every command, has no such option; `available` are those it has."""

    code = "UNKNOWN_OPTION"
    sentence = "There is no option {option}."


class AmbiguousCommand(ParseError):
    """An abbreviation has several meanings, or means what is never abbreviated; `matches` has them all."""

    code = "AMBIGUOUS_COMMAND"
    sentence = "'{given}' can mean {meanings}."


class NotOffered(ParseError):
    """A command that takes stdin and stdout for itself, or runs other commands, where one command is wanted."""

    code = "COMMAND_NOT_OFFERED"
    sentence = "'{command}' runs on a command line of its own only."
    hint = "nexus help {command}"


class InputInvalid(ParseError):
    """What `--input` gives is no JSON object, or too large."""

    code = "INPUT_INVALID"


class ValidationError(NexusError):
    """An argument is missing, of the wrong type, or not allowed; `field` names it."""

    type = "validation"
    code = "VALIDATION_ERROR"
    exit_status = 2
    hint = "nexus help"


class ConfigInvalid(ValidationError):
    """The configuration file cannot be used; `line` and `column` where the fault is known to be."""

    code = "CONFIG_INVALID"
    hint = "nexus doctor"


class ConfirmationRequired(ValidationError):
    """The command cannot be undone: it wants `--yes`, or a person's yes at a terminal."""

    code = "CONFIRMATION_REQUIRED"
    sentence = "'{command}' cannot be undone and wants to be confirmed."


class QueryInvalid(ValidationError):
    """The expression of `--query` is no JMESPath, or does not fit the result."""

    code = "QUERY_INVALID"
    hint = "nexus help"


class PathOutsideRoot(ValidationError):
    """A path leaves the folder that it must stay in: `..`, an absolute path, or a link."""

    code = "PATH_OUTSIDE_ROOT"
    sentence = "The path {path!r} leaves its root folder."
    hint = "nexus agent file browse --path ."


class AuthError(NexusError):
    """The server wants you to sign in."""

    type = "auth"
    code = "AUTHENTICATION_REQUIRED"
    exit_status = 3
    sentence = "{server} wants you to sign in."
    hint = "nexus doctor"


class AuthInvalid(AuthError):
    """The credentials are not valid, or not any more."""

    code = "AUTHENTICATION_INVALID"
    sentence = "The credentials are not valid, or not any more."


class AiKeyMissing(AuthError):
    """`variable` is the environment variable that holds the key of the back end."""

    code = "AI_KEY_MISSING"
    sentence = "The back end {backend} wants a key, and {variable} is not set."
    hint = "Set {variable} in your environment; the key is used for the one command and not kept."


class AiKeyRefused(AuthError):
    """A model's provider refused the key in `variable`."""

    code = "AI_KEY_REFUSED"
    sentence = "The back end {backend} does not take the key in {variable}."
    hint = "Set {variable} to a key that is valid there."


class AiSignInRequired(AuthError):
    """A coding agent is not signed in with its provider."""

    code = "AI_SIGN_IN_REQUIRED"
    sentence = "The coding agent {backend} wants you to sign in."
    hint = "Run {program} once in a terminal and sign in, or set its key in your environment."


class PermissionDenied(NexusError):
    """You are known, and may not do this."""

    type = "permission"
    code = "PERMISSION_DENIED"
    exit_status = 3
    hint = "nexus help"


class NotFound(NexusError):
    """It does not exist; `resource` is its kind (project, roadmap), `reference` what was asked for."""

    type = "not_found"
    code = "RESOURCE_NOT_FOUND"
    exit_status = 4
    sentence = "There is no {resource} {reference!r}."
    hint = "nexus help"


class CommandNotFound(NotFound):
    """There is no such command; `suggestions` are the nearest, `available` are all of that level."""

    code = "COMMAND_NOT_FOUND"
    sentence = "There is no command '{given}'."


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


class ResidentUnavailable(BackendError):
    """The resident process does not start, does not answer, or must not be trusted."""

    code = "RESIDENT_UNAVAILABLE"
    hint = "NEXUS_RESIDENT=0 runs a command without it."


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


class Conflict(NexusError):
    """It clashes with what is there: a name that is taken, a file that is another by now."""

    type = "conflict"
    code = "RESOURCE_CONFLICT"
    exit_status = 6
    hint = "nexus doctor"


class VersionConflict(Conflict):
    """Two versions of Nexus claim one data folder, or the data are newer than the code."""

    code = "VERSION_CONFLICT"


class FolderOwned(Conflict):
    """Another kernel owns the data folder. `pid` and `socket` tell who, null where it has not said or has none."""

    code = "FOLDER_OWNED"
    retryable = True
    sentence = "The data folder {path} is in use by process {pid}."


class ContextMissing(NexusError):
    """Something must be selected first; `needs` says what: project, roadmap, chat, session, element."""

    type = "context"
    code = "CONTEXT_MISSING"
    exit_status = 7
    sentence = "This command needs a {needs}, and none is selected."
    hint = "nexus settings context view"


class ContextStale(ContextMissing):
    """What was selected does not exist any more."""

    code = "CONTEXT_STALE"
    sentence = "The selected {needs} {reference!r} does not exist any more."


class SessionError(NexusError):
    """A session failed."""

    type = "session"
    code = "SESSION_ERROR"
    exit_status = 8
    hint = "nexus session live list"


class SessionExpired(SessionError):
    """The session's time is over."""

    code = "SESSION_EXPIRED"
    sentence = "The session {session_id} has expired."


class SessionClosed(SessionError):
    """The session is closed."""

    code = "SESSION_CLOSED"
    sentence = "The session {session_id} is closed."


class SessionNotFound(SessionError):
    """There is no such session."""

    code = "SESSION_NOT_FOUND"
    sentence = "There is no session {session_id}."
    hint = "nexus session live list"


class SessionTypeMismatch(SessionError):
    """The session is of another type than the command wants."""

    code = "SESSION_TYPE_MISMATCH"
    sentence = "The session {session_id} is of type {actual}, and this wants {expected}."


class SessionGap(SessionError):
    """Events of the session that were asked for are not kept any more."""

    code = "SESSION_GAP"


class ConnectionLost(SessionError):
    """The connection of a session ended, and could not be made again."""

    code = "CONNECTION_LOST"
    retryable = True


class ResourceUnavailable(SessionError):
    """What the session needs is not there: a program, a key, a platform."""

    code = "RESOURCE_UNAVAILABLE"


class Interrupted(NexusError):
    """The command was interrupted (Ctrl+C)."""

    type = "interrupted"
    code = "INTERRUPTED"
    exit_status = 130
    sentence = "Interrupted."
    hint = "Run the command again."


class Terminated(Interrupted):
    """The command was terminated (SIGTERM)."""

    code = "TERMINATED"
    exit_status = 143
    sentence = "Terminated."


class HungUp(Interrupted):
    """The terminal went away."""

    code = "HUNG_UP"
    exit_status = 129
    sentence = "The terminal went away."


class ReaderGone(Interrupted):
    """Nobody reads the output any more."""

    code = "READER_GONE"
    exit_status = 141
    sentence = "Nobody reads the output any more."


class PluginError(NexusError):
    """A plugin failed."""

    type = "plugin"
    code = "PLUGIN_ERROR"
    hint = "nexus doctor"


class InternalError(NexusError):
    """A fault of ours. `log` names the file that holds the traceback."""

    sentence = "Nexus failed inside: {reason}."
    hint = "nexus doctor"


class ExecutionError(InternalError):
    """A command's handler raised what it must not; the traceback is in the log that `log` names."""

    code = "EXECUTION_ERROR"
    sentence = "The command failed inside: {reason}."


class OutputInvalid(InternalError):
    """A command's answer does not fit its own result schema."""

    code = "OUTPUT_INVALID"
    sentence = "The command's answer does not fit its own result schema: {reason}."
