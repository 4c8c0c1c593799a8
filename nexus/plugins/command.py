"""A plugin's command as every other: a handler class with a model of its arguments and one of its result."""

import keyword
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, GetJsonSchemaHandler, RootModel, create_model, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from nexus.plugins.manifest import Action, Flag, Manifest
from nexus.plugins.result import check_result
from nexus.registry.registry import PLUGIN
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import PluginCrashed, PluginError, PluginRightMissing, PluginUntrusted
from nexus.schemas.model import Model
from nexus.schemas.stream import OutputStream

COLLECT = "collect"

_PYTHON: dict[str, Any] = {
    "text": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "list": list[str],
    "json": Any,
}


class PluginResult(RootModel[dict[str, Any]]):
    """An object that fits the schema of its manifest."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "object"}

    @model_validator(mode="after")
    def _fits(self) -> "PluginResult":
        check_result(self.root, self.json_schema)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the manifest's own schema."""
        return dict(cls.json_schema)


class Collected(Model):
    """The events of a plugin's stream as one answer."""

    items: list[dict[str, Any]]
    next_cursor: None = None
    truncated: bool = False


Answer = PluginResult | Collected
Run = Callable[["PluginCommand", ExecutionContext[Arguments]], Awaitable["Outcome[Any] | OutputStream | Collected"]]


class PluginCommand(CommandHandler[Arguments, Any]):
    """The base of the classes that `handler_class` makes. `run` hands the work to the plugin's worker."""

    plugin: ClassVar[str]
    action: ClassVar[Action]
    names: ClassVar[dict[str, str]]
    run: Run | None = None

    async def execute(self, context: ExecutionContext[Arguments]) -> Any:
        """Have the worker do the work."""
        if self.run is None:
            raise PluginError.because(f"The plugin {self.plugin} has no process to run in.")
        return await self.run(self, context)


def handler_class(manifest: Manifest, path: tuple[str, str, str], action: Action) -> type[PluginCommand]:
    """Return the handler class of one action. Raises `TypeError`, `ValueError` for flags that no model can have."""
    names = {field_name(name): name for name in action.flags}
    fields: dict[str, Any] = {field_name(name): _field(flag, manifest) for name, flag in action.flags.items()}
    if action.streams and COLLECT not in fields:
        fields[COLLECT] = (bool, Field(default=False, description="Print one envelope with all events of the stream."))
    title = "".join(part.capitalize() for word in path for part in word.split("-"))
    return type(
        title,
        (PluginCommand,),
        {
            "__doc__": f"{action.summary}\n\n{action.description}",
            "__module__": PLUGIN,
            "__qualname__": manifest.name,
            "path": path,
            "plugin": manifest.name,
            "action": action,
            "names": names,
            "arguments": create_model(f"{title}Arguments", __base__=Arguments, **fields),
            "result": Collected if action.streams else _result(f"{title}Result", action),
            "effects": frozenset(action.effects),
            "context": tuple(action.context),
            "session_type": action.session_type,
            "examples": tuple(
                Example(line=example.line, shows=example.shows, needs=tuple(example.needs))
                for example in action.examples
            ),
            "errors": (PluginError, PluginCrashed, PluginUntrusted, PluginRightMissing),
            "events": ("metadata", *dict.fromkeys((*action.events, "data", "error", "interrupt", "close")))
            if Effect.STREAMING in action.effects
            else (),
            "deprecated": action.deprecated,
        },
    )


def field_name(flag: str) -> str:
    """Return the model's name for a flag; what Python or a model has already gets a line behind it."""
    name = flag.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) or hasattr(Arguments, name) else name


def _result(title: str, action: Action) -> type[PluginResult]:
    return type(title, (PluginResult,), {"json_schema": action.result, "__module__": PLUGIN})


def _field(flag: Flag, manifest: Manifest) -> tuple[Any, Any]:
    declared = manifest.contributes.argument_types.get(flag.type)
    base = declared.base if declared else flag.type
    choices = flag.choices or (declared.choices if declared else [])
    kind: Any = _PYTHON[base]
    if choices:
        literal = Literal[tuple(choices)]  # type: ignore[valid-type]
        kind = list[literal] if base == "list" else literal  # type: ignore[valid-type]
    elif bounds := _bounds(flag, base, declared):
        kind = Annotated[kind, Field(**bounds)]
    extra = {name: value for name in ("positional", "rest", "secret", "stdin") if (value := getattr(flag, name))}
    if flag.short:
        extra["short"] = flag.short
    if flag.aliases:
        extra["aliases"] = list(flag.aliases)
    described: dict[str, Any] = {"description": flag.description, "json_schema_extra": extra or None}
    if flag.required:
        return kind, Field(**described)
    default = flag.default if flag.default is not None else {"boolean": False}.get(base)
    if base == "list":
        return kind, Field(default_factory=lambda: list(flag.default or ()), **described)
    return (kind | None if default is None and base != "json" else kind), Field(default=default, **described)


def _bounds(flag: Flag, base: str, declared: Any) -> dict[str, Any]:
    def one(name: str) -> Any:
        own = getattr(flag, name)
        return own if own is not None or declared is None else getattr(declared, name, None)

    if base in ("integer", "number"):
        wanted = {"ge": one("minimum"), "le": one("maximum")}
    elif base == "text":
        wanted = {"min_length": one("min_length"), "max_length": one("max_length"), "pattern": one("pattern")}
    else:
        return {}
    return {name: value for name, value in wanted.items() if value is not None}
