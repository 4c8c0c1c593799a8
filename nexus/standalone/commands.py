"""Commands as a table of Python: what `define_commands` reads, and the registry that it makes of it."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, ClassVar

from pydantic import Field, RootModel, create_model
from pydantic_core import to_jsonable_python

from nexus.handlers.builtins.help import ShowHelp
from nexus.handlers.builtins.schema import ShowSchema
from nexus.plugins.command import field_name
from nexus.plugins.faults import failure_error
from nexus.plugins.worker.context import Values
from nexus.plugins.worker.failures import PluginFailure
from nexus.registry.flags import GLOBAL_FLAGS
from nexus.registry.index import CommandIndex, IndexFile, index_bytes
from nexus.registry.registry import PLUGIN, HandlerRegistry
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, NoArguments
from nexus.schemas.model import Model
from nexus.schemas.specification import CommandPath, CommandSpec

Function = Callable[[Values], Any]

TYPES: dict[str, Any] = {
    "string": str,
    "number": float,
    "integer": int,
    "boolean": bool,
    "flag": bool,
    "array": list[str],
    "json": Any,
    "date": date,
    "datetime": datetime,
}
_OF_COMMANDS = frozenset({"description", "args", "handler", "subcommands", "examples", "effects"})
_OF_ARGUMENTS = frozenset(
    {"type", "description", "required", "default", "positional", "short", "choices", "minimum", "maximum"}
)
_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
BUILT_IN = ("help", "schema", "version")


class DefinitionInvalid(ValueError):
    """A table defines no commands; the text says where."""


class Answer(RootModel[dict[str, Any]]):
    """What a function returned."""


class Told(Model):
    """The program and its version."""

    name: str
    version: str


class Commands:
    """Commands by path. `summaries` are those of the levels above them."""

    def __init__(self, functions: Mapping[CommandPath, type["Defined"]], summaries: Mapping[CommandPath, str]) -> None:
        self.handlers = dict(functions)
        self.summaries = dict(summaries)

    @property
    def names(self) -> list[str]:
        """Every command, as it is written."""
        return [" ".join(path) for path in self.handlers]

    def index(self, program: str, version: str, description: str) -> CommandIndex:
        """Return the tree, with help, schema and version beside the commands. Raises `DefinitionInvalid`."""
        registry = HandlerRegistry(GLOBAL_FLAGS)
        registry.describe_group((), description)
        try:
            for path, summary in self.summaries.items():
                registry.describe_group(path, summary)
            for path, handler in (self.handlers | self.built_in(program, version)).items():
                registry.register_path(path, handler)
            for built_in in (ShowHelp, ShowSchema):
                registry.register_path(built_in.path, built_in)
            return CommandIndex([IndexFile.of(index_bytes(registry.nodes()))])
        except (ValueError, TypeError) as error:
            raise DefinitionInvalid(str(error)) from error

    def built_in(self, program: str, version: str) -> dict[CommandPath, type["Defined"]]:
        """Return the command `version` of a program."""

        def told(_args: Values) -> dict[str, Any]:
            return {"name": program, "version": version}

        return {("version",): _handler(("version",), {"description": "Show the version.", "handler": told})}

    def handler(self, spec: CommandSpec, program: str, version: str) -> "Defined":
        """Return the handler of a command of the index."""
        return (self.handlers | self.built_in(program, version))[spec.path]()


class Defined(CommandHandler[Arguments, Answer]):
    """The base of the classes that a table becomes."""

    result = Answer
    function: ClassVar[Function]
    names: ClassVar[dict[str, str]]

    async def execute(self, context: ExecutionContext[Arguments]) -> Answer:
        """Call the function with the arguments; a result that is no object is put into one, as `result`."""
        given = {name: getattr(context.args, field) for field, name in self.names.items()}
        try:
            value = type(self).function(Values(given))
            if inspect.isawaitable(value):
                value = await value
        except PluginFailure as failure:
            raise failure_error(failure.told(), None) from failure
        value = list(value) if inspect.isgenerator(value) else value
        plain = to_jsonable_python(value)
        if isinstance(plain, list):
            plain = {"items": plain, "nextCursor": None, "truncated": False}
        return Answer(plain if isinstance(plain, dict) else {"result": plain})


def define_commands(table: Mapping[str, Mapping[str, Any]]) -> Commands:
    """Read a table of commands, each `{description, args, handler, subcommands, examples, effects}` by its name.

    An argument is `{type, description, required, default, positional, short, choices, minimum, maximum}`; `type` is
    string, number, integer, boolean, array, json, date or datetime, `positional` its place. The handler gets the
    arguments by name; what it returns is the result. Raises `DefinitionInvalid`.
    """
    handlers: dict[CommandPath, type[Defined]] = {}
    summaries: dict[CommandPath, str] = {}
    for path, command in _commands(table, ()):
        if "handler" in command:
            handlers[path] = _handler(path, command)
        else:
            summaries[path] = str(command["description"])
    if not handlers:
        raise DefinitionInvalid("there is no command with a handler")
    return Commands(handlers, summaries)


def _commands(table: Mapping[str, Any], above: CommandPath) -> Iterator[tuple[CommandPath, Mapping[str, Any]]]:
    for name, command in table.items():
        path = (*above, name)
        where = " ".join(path)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or (not above and name in BUILT_IN):
            raise DefinitionInvalid(f"{where!r} cannot be a command's name")
        strangers = sorted(set(command) - _OF_COMMANDS)
        if strangers or not command.get("description"):
            raise DefinitionInvalid(f"{where} has {strangers[0] if strangers else 'no description'}")
        if ("handler" in command) == bool(command.get("subcommands")):
            raise DefinitionInvalid(f"{where} has either a handler or subcommands")
        yield path, command
        yield from _commands(command.get("subcommands", {}), path)


def _handler(path: CommandPath, command: Mapping[str, Any]) -> type[Defined]:
    where = " ".join(path)
    declared: Mapping[str, Mapping[str, Any]] = command.get("args", {})
    by_place = sorted(
        (name for name in declared if _is_positional(declared[name])),
        key=lambda name: int(declared[name]["positional"]),
    )
    ordered = [*by_place, *(name for name in declared if name not in by_place)]
    fields: dict[str, Any] = {field_name(name): _field(f"{where} {name}", declared[name]) for name in ordered}
    examples = command.get("examples") or [" ".join((where, *_usage(declared, ordered)))]
    effects = frozenset(map(Effect, command.get("effects", ("read",))))
    title = "".join(part.capitalize() for word in path for part in word.split("-"))
    return type(
        title,
        (Defined,),
        {
            "__doc__": str(command["description"]),
            "__module__": PLUGIN,
            "path": path,
            "arguments": create_model(f"{title}Arguments", __base__=Arguments, **fields) if fields else NoArguments,
            "function": staticmethod(command["handler"]),
            "names": {field_name(name): name.replace("-", "_") for name in ordered},
            "effects": effects,
            "examples": tuple(Example(line=f"nexus {line}", shows=str(command["description"])) for line in examples),
        },
    )


def _is_positional(argument: Mapping[str, Any]) -> bool:
    return argument.get("positional") is not None and argument["positional"] is not False


def _usage(declared: Mapping[str, Mapping[str, Any]], ordered: list[str]) -> Iterator[str]:
    """Yield words that fit, for a command that brings no example: every value that is required, made up."""
    for name in ordered:
        argument = declared[name]
        if not argument.get("required"):
            continue
        value = str((argument.get("choices") or [_MADE_UP.get(str(argument.get("type", "string")), "text")])[0])
        if not _is_positional(argument):
            yield f"--{name.replace('_', '-')}"
        yield value


_MADE_UP = {
    "number": "1",
    "integer": "1",
    "json": "{}",
    "array": "a,b",
    "date": "2026-01-01",
    "datetime": "2026-01-01T12:00:00Z",
}


def _field(where: str, argument: Mapping[str, Any]) -> tuple[Any, Any]:
    strangers = sorted(set(argument) - _OF_ARGUMENTS)
    kind = str(argument.get("type", "string"))
    if strangers or kind not in TYPES:
        raise DefinitionInvalid(f"{where} has {strangers[0] if strangers else f'the type {kind}'}, which there is not")
    python = TYPES[kind]
    if argument.get("choices"):
        from typing import Literal

        python = Literal[tuple(argument["choices"])]
    bounds = {"ge": argument.get("minimum"), "le": argument.get("maximum")} if kind in ("number", "integer") else {}
    extra: dict[str, Any] = {"positional": True} if _is_positional(argument) else {}
    if argument.get("short"):
        extra["short"] = argument["short"]
    more = {name: value for name, value in bounds.items() if value is not None}
    described: dict[str, Any] = {
        "description": argument.get("description", ""),
        "json_schema_extra": extra or None,
        **more,
    }
    if argument.get("required"):
        return python, Field(**described)
    default = argument.get("default", False if kind in ("boolean", "flag") else None)
    return (python if default is not None else python | None), Field(default=default, **described)
