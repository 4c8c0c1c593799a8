"""What is known of a command without its handler: its specification in the index, and the tree that it stands in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from nexus.schemas.context import ContextKind

CommandPath = tuple[str, ...]
"""`(namespace, resource, action)`; a built-in such as `help` has one word."""


Change = Literal["created", "updated", "unchanged", "deleted"]
"""What a command did to what it is about."""


class Effect(StrEnum):
    """What running a command does to the world; drives `--dry-run`, the `--yes` rule and MCP's annotations."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"
    STREAMING = "streaming"
    IDEMPOTENT = "idempotent"


@dataclass(frozen=True, kw_only=True)
class Example:
    """One line that works as written, and what it shows. `needs` are lines to run before it."""

    line: str
    shows: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OptionSpec:
    """One argument of a command, as the parser, help and completion need it."""

    name: str
    flags: tuple[str, ...] = ()
    kind: Literal["text", "integer", "number", "boolean", "list", "json"] = "text"
    metavar: str | None = None
    required: bool = False
    positional: bool = False
    rest: bool = False
    secret: bool = False
    stdin: bool = False
    whole: bool = False
    """A list whose every item is given by a flag of its own: a comma is part of it."""
    choices: tuple[str, ...] = ()
    default: Any = None
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """All that is known of a command without importing its handler."""

    path: CommandPath
    handler_id: str
    handler: str
    summary: str
    description: str = ""
    options: tuple[OptionSpec, ...] = ()
    effects: tuple[Effect, ...] = (Effect.READ,)
    context: tuple[ContextKind, ...] = ()
    session_type: str | None = None
    command_line_only: bool = False
    examples: tuple[Example, ...] = ()
    errors: tuple[str, ...] = ()
    exit_codes: tuple[int, ...] = ()
    events: tuple[str, ...] = ()
    deprecated: str | None = None
    arguments_schema: dict[str, Any] = field(default_factory=dict)
    result_schema: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """One name under a group."""

    name: str
    kind: Literal["group", "command"]
    summary: str


@dataclass(frozen=True, kw_only=True)
class GroupSpec:
    """A level of the tree: the root, a namespace or a resource.

    Where it has an `alias`, its path is another name of that command too: words behind it that are none of its
    children's names are the command's arguments.
    """

    path: CommandPath
    summary: str
    children: tuple[ChildSpec, ...] = ()
    alias: CommandPath = ()


@dataclass(frozen=True, kw_only=True)
class AliasSpec:
    """Another name for one canonical path."""

    path: CommandPath
    target: CommandPath


Node = CommandSpec | GroupSpec | AliasSpec


class CommandCatalog(Protocol):
    """The face of the registry that commands see: every node by its canonical path."""

    def node(self, path: CommandPath) -> Node | None: ...

    def commands(self, under: CommandPath = ()) -> list[CommandSpec]: ...

    def find(self, words: Sequence[str]) -> CommandSpec | GroupSpec:
        """Return what the words name, abbreviated, dotted or by an alias as on a command line.

        Raises `CommandNotFound` with the nearest names, `AmbiguousCommand` with all meanings.
        """
        ...

    def global_options(self) -> tuple[OptionSpec, ...]:
        """Return the flags that every command takes."""
        ...
