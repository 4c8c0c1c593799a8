"""A plugin's manifest, `plugin.yml`: all that is known of a plugin without importing it, checked when it is read."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator
from pydantic import ValidationError as ModelError

from nexus.plugins.result import check_schema
from nexus.plugins.versions import Range, Version, VersionInvalid
from nexus.schemas.context import ContextKind
from nexus.schemas.errors import PluginInvalid
from nexus.schemas.model import StrictModel
from nexus.schemas.plugin import PluginKind
from nexus.schemas.regular import open_regular
from nexus.schemas.specification import Effect

MOST_BYTES = 256 * 1024

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
ArgumentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([_-][a-z0-9]+)*$", max_length=40)]
Reference = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$", max_length=200)
]
"""`package.module:object`, imported in the worker alone."""
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\n\r]+$")]
Text = Annotated[str, StringConstraints(max_length=4000)]
CommandPattern = Annotated[str, StringConstraints(pattern=r"^[a-z*][a-z0-9.*-]*$", max_length=130)]
"""A command's path with dots; `*` stands for anything: `agent.project.*`."""

BASE_TYPES = ("text", "integer", "number", "boolean", "list", "json")


class Flag(StrictModel):
    """One argument of an action. `type` is a base type, or an argument type of this plugin."""

    type: str = Field(default="text", max_length=40)
    description: Line
    required: bool = False
    default: Any = None
    short: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]$")] | None = None
    aliases: list[Name] = Field(default_factory=list, max_length=5)
    positional: bool = False
    rest: bool = False
    secret: bool = False
    stdin: bool = False
    choices: list[Line] = Field(default_factory=list, max_length=200)
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = Field(default=None, ge=0)
    max_length: int | None = Field(default=None, ge=0)
    pattern: str | None = Field(default=None, max_length=500)
    validator: Reference | None = None


class ExampleLine(StrictModel):
    """A line that works as written, and what it shows; `needs` are lines to run before it."""

    line: Line
    shows: Line
    needs: list[Line] = Field(default_factory=list, max_length=10)


class Action(StrictModel):
    """One command. `call` is the function behind it; left out, the plugin's entry registers its handler.

    `result` is a JSON Schema of an object. `timeout` bounds it in seconds, below the command's own.
    """

    summary: Line
    description: Text = ""
    call: Reference | None = None
    flags: dict[ArgumentName, Flag] = Field(default_factory=dict, max_length=60)
    effects: list[Effect] = Field(default_factory=lambda: [Effect.READ], min_length=1, max_length=5)
    context: list[ContextKind] = Field(default_factory=list, max_length=5)
    session_type: Name | None = None
    result: dict[str, Any] = Field(default_factory=lambda: {"type": "object"})
    events: list[Name] = Field(default_factory=list, max_length=20)
    examples: list[ExampleLine] = Field(min_length=1, max_length=10)
    timeout: float | None = Field(default=None, gt=0, le=86_400)
    deprecated: Line | None = None

    @field_validator("result")
    @classmethod
    def _schema_can_be_checked(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_schema(value)
        if value.get("type", "object") != "object":
            raise ValueError("the result of a command is an object")
        return value

    @property
    def streams(self) -> bool:
        """Whether it answers with events."""
        return Effect.STREAMING in self.effects


class Resource(StrictModel):
    """What the actions are about."""

    summary: Line = "Commands of a plugin."
    actions: dict[Name, Action] = Field(min_length=1, max_length=100)


class Namespace(StrictModel):
    """The first word of commands; where nexus or another plugin has it already, its resources are added to it."""

    summary: Line = "Commands of a plugin."
    resources: dict[Name, Resource] = Field(min_length=1, max_length=100)


HookEvent = Literal[
    "command.before", "command.after", "context.changed",
    "session.created", "session.closed", "session.interrupted", "session.restarted",
]  # fmt: skip


class Hook(StrictModel):
    """A function that is told of what happens. `commands` are the paths that it wants to hear of."""

    event: HookEvent
    call: Reference
    commands: list[CommandPattern] = Field(default_factory=lambda: ["*"], min_length=1, max_length=50)
    timeout: float = Field(default=1.0, gt=0, le=5)


class Permissions(StrictModel):
    """The rights that a plugin asks for, beyond its own folder and the data folder that it is given.

    Paths may begin with `~/` or `{cwd}`. Nothing of it is had before a person grants it.
    """

    network: bool = False
    processes: bool = False
    api: list[Literal["read", "write"]] = Field(default_factory=list, max_length=2)
    environment: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]] = Field(
        default_factory=list, max_length=50
    )
    read: list[Line] = Field(default_factory=list, max_length=50)
    write: list[Line] = Field(default_factory=list, max_length=50)

    @field_validator("read", "write")
    @classmethod
    def _absolute(cls, value: list[str]) -> list[str]:
        for path in value:
            if not path.startswith(("/", "~/", "{cwd}")) and path != "~":
                raise ValueError(f"{path!r} begins with none of /, ~/ and {{cwd}}")
        return value

    def rights(self) -> tuple[str, ...]:
        """Return each right by the name that it is granted by."""
        named = [name for name in ("network", "processes") if getattr(self, name)]
        for kind in ("api", "environment", "read", "write"):
            named += [f"{kind}:{value}" for value in getattr(self, kind)]
        return tuple(named)


class Limits(StrictModel):
    """What a worker may use at the most. `memory` is in MiB of address space."""

    memory: int = Field(default=1024, ge=64, le=65_536)
    files: int = Field(default=256, ge=16, le=4096)


class Requirements(StrictModel):
    """Ranges of versions: of nexus, and of other plugins by name."""

    nexus: str = "*"
    plugins: dict[Name, str] = Field(default_factory=dict, max_length=50)

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for text in (self.nexus, *self.plugins.values()):
            Range.parse(text)
        return self


class ArgumentType(StrictModel):
    """A type that flags may have. `call` gets the value, and returns it as the command is to have it."""

    description: Line
    base: Literal["text", "integer", "number", "boolean", "list", "json"] = "text"
    choices: list[Line] = Field(default_factory=list, max_length=200)
    pattern: str | None = Field(default=None, max_length=500)
    minimum: float | None = None
    maximum: float | None = None
    call: Reference | None = None


class Validator(StrictModel):
    """A check of any command's arguments before it runs; it may refuse them, and change nothing."""

    command: CommandPattern
    call: Reference
    timeout: float = Field(default=2.0, gt=0, le=10)


class Contribution(StrictModel):
    """Something added by a function of the plugin."""

    description: Line
    call: Reference


class SessionKind(Contribution):
    """A session type: the function yields the events of a session, and takes input from `context.inputs()`."""

    capabilities: list[Literal["send", "interrupt"]] = Field(default_factory=list, max_length=2)


class Templates(StrictModel):
    """Files of the plugin that take the place of what is built in, by the path of a command with dots."""

    human: dict[CommandPattern, str] = Field(default_factory=dict, max_length=200)
    help: dict[CommandPattern, str] = Field(default_factory=dict, max_length=200)
    scaffolds: dict[Name, str] = Field(default_factory=dict, max_length=20)


class Contributions(StrictModel):
    """What a plugin adds besides commands."""

    argument_types: dict[Name, ArgumentType] = Field(default_factory=dict, max_length=50)
    validators: list[Validator] = Field(default_factory=list, max_length=50)
    output_formats: dict[Name, Contribution] = Field(default_factory=dict, max_length=20)
    templates: Templates = Field(default_factory=Templates)
    authentication: dict[Name, Contribution] = Field(default_factory=dict, max_length=20)
    backends: dict[Name, Contribution] = Field(default_factory=dict, max_length=20)
    transports: dict[Name, Contribution] = Field(default_factory=dict, max_length=20)
    session_types: dict[Name, SessionKind] = Field(default_factory=dict, max_length=20)


class Manifest(StrictModel):
    """The whole manifest."""

    name: Name
    version: str
    kind: PluginKind
    summary: Line
    entry: Reference | None = None
    requires: Requirements = Field(default_factory=Requirements)
    namespaces: dict[Name, Namespace] = Field(default_factory=dict, max_length=50)
    hooks: list[Hook] = Field(default_factory=list, max_length=50)
    permissions: Permissions = Field(default_factory=Permissions)
    limits: Limits = Field(default_factory=Limits)
    contributes: Contributions = Field(default_factory=Contributions)

    @field_validator("version")
    @classmethod
    def _semantic(cls, value: str) -> str:
        return str(Version.parse(value))

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for path, action in self.actions():
            if action.call is None and self.entry is None:
                raise ValueError(f"{' '.join(path)} has no call, and the plugin no entry that registers it")
            for name, flag in action.flags.items():
                if flag.type not in (*BASE_TYPES, *self.contributes.argument_types):
                    raise ValueError(f"{' '.join(path)}: {name} is of the type {flag.type!r}, which there is not")
        return self

    def actions(self) -> list[tuple[tuple[str, str, str], Action]]:
        """Return every command by its path."""
        return [
            ((space, resource, action), declared)
            for space, within in self.namespaces.items()
            for resource, named in within.resources.items()
            for action, declared in named.actions.items()
        ]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises `PluginInvalid` with the place of the fault."""
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _invalid(path, f"it cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise _invalid(path, f"it is larger than {MOST_BYTES} bytes")
    return parse_manifest(content, path)


def parse_manifest(content: bytes, path: Path) -> Manifest:
    """Read a manifest's bytes; `path` is where they are said to be from. Raises `PluginInvalid`."""
    found = _yaml(content, path)
    if not isinstance(found, dict):
        raise _invalid(path, "it holds no keys")
    try:
        return Manifest.model_validate(found)
    except ModelError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        reason = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
        raise _invalid(path, f"{field}: {reason}" if field else reason, field=field or None) from error
    except (VersionInvalid, RecursionError) as error:
        raise _invalid(path, str(error)) from error


def _yaml(content: bytes, path: Path) -> Any:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # An anchor may be named a thousand times over: a small file would become a huge manifest.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, Loader=loader)):
            raise _invalid(path, "it has anchors, which a manifest must do without")
        return yaml.load(content, Loader=loader)  # noqa: S506 -- a safe loader, in C where there is one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise _invalid(path, f"{place}{problem}", line=mark.line + 1 if mark else None) from error
    except (ValueError, RecursionError) as error:
        raise _invalid(path, str(error)[:200]) from error


def _invalid(path: Path, reason: str, **data: Any) -> PluginInvalid:
    return PluginInvalid.because(f"{path} is no manifest that can be used: {reason}.", path=str(path), **data)
