"""What a command is: its handler, what the handler is given, and its specification (`schemas/specification.py`)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from nexus.schemas.context import ContextKind, ContextState, ContextUpdate
from nexus.schemas.ends import Diagnostics, StandardInput, Terminal
from nexus.schemas.errors import NexusError
from nexus.schemas.front import Forward, Fronts
from nexus.schemas.model import Model, StrictModel
from nexus.schemas.specification import (
    AliasSpec,
    Change,
    ChildSpec,
    CommandCatalog,
    CommandPath,
    CommandSpec,
    Effect,
    Example,
    GroupSpec,
    Node,
    OptionSpec,
)

if TYPE_CHECKING:
    from nexus.schemas.plugin import PluginStore
    from nexus.schemas.profile import SignIns
    from nexus.schemas.session import Session, TransportName
    from nexus.schemas.stream import Printed
    from nexus.schemas.wire import ByteAccess, Progress

__all__ = [
    "AliasSpec",
    "AliasStore",
    "ApiClient",
    "Args",
    "Arguments",
    "Change",
    "ChildSpec",
    "CommandCatalog",
    "CommandHandler",
    "CommandPath",
    "CommandSpec",
    "ConfigSource",
    "ConfigValue",
    "Configuration",
    "ContextStore",
    "Diagnostics",
    "Effect",
    "Example",
    "ExecutionContext",
    "Folders",
    "ForwardingHandler",
    "GlobalFlags",
    "GroupSpec",
    "NoArguments",
    "Node",
    "OptionSpec",
    "Outcome",
    "Result",
    "SessionAccess",
    "StandardInput",
    "Terminal",
]


class Arguments(StrictModel):
    """The base of every argument model: one source for flags, validation, help and JSON Schema.

    A field is the flag `--field-name`. `json_schema_extra` may say: `positional` (taken by place; with `flag` by
    its flag too), `short` (one letter), `aliases` (other long flags), `secret` (never from argv), `stdin` (`-` reads
    standard input), `rest` (takes every remaining word, those after `--` included), `whole` (a list whose items are
    given one by one: no comma parts them).
    """


class NoArguments(Arguments):
    """A command without arguments of its own."""


Result = TypeVar("Result")


class ApiClient(Protocol):
    """The kernel's API. `path` is a template; values for its `{names}` come from `at` and are quoted.

    Every call carries token, request id, traceparent and, on writes, an idempotency key. Errors of the kernel are
    raised as they were told (`ReportedError`); transport errors as `BackendUnavailable`, `OutcomeUnknown` or
    `TimeoutExceeded`.
    """

    async def get(
        self, path: str, result: type[Result], *, at: Mapping[str, str] = ..., query: Mapping[str, Any] = ...
    ) -> Result: ...

    async def post(
        self, path: str, result: type[Result], *, at: Mapping[str, str] = ..., body: BaseModel | None = ...
    ) -> Result: ...

    async def patch(
        self, path: str, result: type[Result], *, at: Mapping[str, str] = ..., body: BaseModel | None = ...
    ) -> Result: ...

    async def put(
        self, path: str, result: type[Result], *, at: Mapping[str, str] = ..., body: BaseModel | None = ...
    ) -> Result: ...

    async def delete(
        self, path: str, result: type[Result], *, at: Mapping[str, str] = ..., query: Mapping[str, Any] = ...
    ) -> Result: ...


class SessionAccess(Protocol):
    """How the Session ABI reaches the command's kernel; `nexus.sessions.access.session_client` is its front.

    `server` is the URL of the kernel's server, None for the local kernel.
    """

    @property
    def server(self) -> str | None: ...

    async def client(self, transport: "TransportName | None", poll_interval: float | None) -> object: ...


ConfigSource = Literal["flag", "environment", "profile", "file", "default"]


class ConfigValue(Model):
    """One setting and where its value came from."""

    key: str
    value: Any
    source: ConfigSource
    origin: str | None = None


class Configuration(Protocol):
    """The client's settings: flag over environment over profile over file over default. Keys are `category.key`."""

    path: Path

    def get(self, key: str) -> ConfigValue: ...

    def all(self, category: str | None = None) -> list[ConfigValue]: ...

    def categories(self) -> list[str]: ...

    def set(self, key: str, value: Any) -> ConfigValue: ...

    def unset(self, key: str) -> ConfigValue: ...


class ContextStore(Protocol):
    """The named contexts on disk."""

    name: str

    def load(self) -> ContextState: ...

    def names(self) -> list[str]: ...

    def load_named(self, name: str) -> ContextState: ...

    def remove(self, name: str) -> None: ...


class Folders(Protocol):
    """Where files live: configuration, state (contexts, logs) and data (the kernel's)."""

    @property
    def config(self) -> Path: ...

    @property
    def state(self) -> Path: ...

    @property
    def data(self) -> Path: ...


class AliasStore(Protocol):
    """A person's own aliases, one word each; none hides a command."""

    def list(self) -> list[AliasSpec]: ...

    async def set(self, name: str, target: CommandPath) -> tuple[AliasSpec, CommandPath | None]: ...

    async def delete(self, name: str) -> AliasSpec: ...


@dataclass(frozen=True, kw_only=True)
class GlobalFlags:
    """The flags that every command takes."""

    output: str | None = None
    input: str | None = None
    project: str | None = None
    roadmap: str | None = None
    chat: str | None = None
    fields: str | None = None
    query: str | None = None
    profile: str | None = None
    server: str | None = None
    context: str | None = None
    session_id: str | None = None
    timeout: float | None = None
    request_id: str | None = None
    idempotency_key: str | None = None
    dry_run: bool = False
    yes: bool = False
    config: str | None = None
    max_tokens: int | None = None
    resume: str | None = None
    verbose: bool = False
    help: bool = False
    version: bool = False


Args = TypeVar("Args", bound=Arguments)


class ExecutionContext(Generic[Args]):
    """What a handler is given: its arguments, the selections, the API, and the caller's surroundings.

    `cwd`, `environment`, `umask` and `limits` (`resource.RLIMIT_*` numbers to soft and hard) are the caller's, never
    this process's: one process serves many callers. What a command starts gets them. `terminal` is there when both
    stdin and stdout are one, and its person wants no other form of output. `bytes` is the way of what is too large for
    the API; `progress` is there when somebody watches stderr. `ask` has a person type what nobody sees, `tell` says
    something on stderr while the command is under way. `sign_ins` are the caller's profiles and credentials.
    """

    def __init__(  # noqa: PLR0913 -- a plain record; the dispatcher fills it by name
        self,
        *,
        args: Args,
        flags: GlobalFlags,
        context_state: ContextState,
        config: Configuration,
        contexts: ContextStore,
        catalog: CommandCatalog,
        api: ApiClient,
        stdin: StandardInput,
        fronts: Fronts,
        aliases: AliasStore,
        folders: Folders,
        cwd: Path,
        environment: Mapping[str, str],
        request_id: str,
        token: str | None = None,
        session: "Session | None" = None,
        umask: int = 0o077,
        limits: Mapping[int, tuple[int, int]] | None = None,
        printed: "Printed | None" = None,
        sessions: SessionAccess | None = None,
        terminal: Terminal | None = None,
        bytes: "ByteAccess | None" = None,  # noqa: A002 -- what it is called where it is used
        progress: "Progress | None" = None,
        stderr: Diagnostics | None = None,
        plugins: "PluginStore | None" = None,
        ask: Callable[[str], Awaitable[str]] | None = None,
        tell: Callable[[str], Awaitable[None]] | None = None,
        sign_ins: "SignIns | None" = None,
    ) -> None:
        self.args = args
        self.flags = flags
        self.context_state = context_state
        self.config = config
        self.contexts = contexts
        self.catalog = catalog
        self.api = api
        self.stdin = stdin
        self.fronts = fronts
        self.aliases = aliases
        self.folders = folders
        self.cwd = cwd
        self.environment = environment
        self.request_id = request_id
        self.token = token
        self.session = session
        self.umask = umask
        self.limits = dict(limits or {})
        self.printed = printed
        self.sessions = sessions
        self.terminal = terminal
        self.bytes = bytes
        self.progress = progress
        self.stderr = stderr
        self.plugins = plugins
        self.ask = ask
        self.tell = tell
        self.sign_ins = sign_ins

    def selected(self, kind: ContextKind) -> str:
        """Return the id of the selected thing; the dispatcher has checked that it is there."""
        selection = getattr(self.context_state, kind)
        if selection is None:
            raise LookupError(f"the handler uses {kind} without requiring it")
        return str(selection.id)


class Outcome(Generic[Result]):
    """A result with what goes beside it: a message for people, a context update to apply and persist, and what was done
    where that is not always the same."""

    def __init__(
        self,
        result: Result,
        *,
        message: str | None = None,
        context_update: ContextUpdate | None = None,
        change: Change | None = None,
    ) -> None:
        self.result = result
        self.message = message
        self.context_update = context_update
        self.change = change


class CommandHandler(Generic[Args, Result]):
    """One command. Class attributes declare it; the index is built from them, so none is imported to describe it.

    The docstring's first line is the summary, the rest the description. `execute` may be `async def`, and must not
    block then. Raise errors of `nexus.schemas.errors`; whatever else is raised becomes `EXECUTION_ERROR`.

    One that `lasts` moves as much as there is to move, and bounds each of its waits itself: it is ended by a time-out
    only where one was asked for. `command_line_only` marks what takes the caller's stdin and stdout for itself: batch
    and MCP do not offer it.
    """

    path: ClassVar[CommandPath]
    arguments: ClassVar[type[Arguments]] = NoArguments
    result: ClassVar[type[BaseModel]]
    effects: ClassVar[frozenset[Effect]] = frozenset({Effect.READ})
    context: ClassVar[tuple[ContextKind, ...]] = ()
    session_type: ClassVar[str | None] = None
    change: ClassVar[Change | None] = None
    command_line_only: ClassVar[bool] = False
    lasts: ClassVar[bool] = False
    examples: ClassVar[tuple[Example, ...]] = ()
    errors: ClassVar[tuple[type[NexusError], ...]] = ()
    events: ClassVar[tuple[str, ...]] = ()
    deprecated: ClassVar[str | None] = None

    async def execute(self, context: ExecutionContext[Args]) -> Result | Outcome[Result]:
        """Do the command's work and return its result."""
        raise NotImplementedError

    def validate(self, args: Mapping[str, Any]) -> Args:
        """Parse raw values into the argument model. Raises pydantic's ValidationError."""
        return self.arguments.model_validate(args)  # type: ignore[return-value]

    def required_context(self) -> tuple[ContextKind, ...]:
        """Return the selections that must be there before `execute` runs."""
        return self.context


class ForwardingHandler(CommandHandler[Args, Result]):
    """A command that stands for another: it is not executed, `--dry-run` and `--yes` are the other's."""

    def forward(self, args: Args) -> Forward:
        """Return the command line to run in its place."""
        raise NotImplementedError
