"""From a handler class to its specification: one source for flags, validation, help and schema."""

import inspect
import types
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from nexus.schemas.command import Arguments, Change, CommandHandler, CommandSpec, Effect, ForwardingHandler, OptionSpec
from nexus.schemas.errors import NexusError

Kind = Literal["text", "integer", "number", "boolean", "list", "json"]

_KINDS: dict[type, Kind] = {bool: "boolean", int: "integer", float: "number", str: "text", dict: "json"}
_LISTS = (list, tuple, set, frozenset)


def _without_none(annotation: Any) -> Any:
    """Strip `| None` and `Annotated`, so that what is left says what a value is."""
    while True:
        origin = get_origin(annotation)
        if hasattr(annotation, "__metadata__"):
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            rest = [part for part in get_args(annotation) if part is not type(None)]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        elif hasattr(annotation, "__value__"):
            annotation = annotation.__value__
        else:
            return annotation


def _kind_and_choices(annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    plain = _without_none(annotation)
    origin = get_origin(plain) or plain
    if origin is Literal:
        return "text", tuple(str(choice) for choice in get_args(plain))
    if isinstance(origin, type):
        if issubclass(origin, Enum):
            return "text", tuple(str(member.value) for member in origin)
        if origin in _LISTS:
            return "list", _kind_and_choices(get_args(plain)[0])[1]
        if issubclass(origin, BaseModel):
            return "json", ()
        for known, kind in _KINDS.items():
            if issubclass(origin, known):
                return kind, ()
    return "json", ()


def _option(name: str, field: FieldInfo) -> OptionSpec:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    kind, choices = _kind_and_choices(field.annotation)
    # A word that is Python's own has a line behind it in the model: `from_` is --from.
    word = name.rstrip("_").replace("_", "-")
    default = None if field.default is PydanticUndefined else field.get_default(call_default_factory=True)
    flags: list[str] = []
    if not extra.get("positional") or extra.get("flag"):
        flags = [f"--{word}"]
        if kind == "boolean" and default is not False:
            flags.append(f"--no-{word}")
        flags += [f"--{alias}" for alias in extra.get("aliases", ())]  # type: ignore[union-attr]
        if short := extra.get("short"):
            flags.append(f"-{short}")
    return OptionSpec(
        name=name,
        flags=tuple(flags),
        kind=kind,
        metavar=str(extra.get("metavar") or ("N" if kind in ("integer", "number") else word.upper()))
        if kind != "boolean"
        else None,
        required=field.is_required(),
        positional=bool(extra.get("positional")),
        rest=bool(extra.get("rest")),
        secret=bool(extra.get("secret")),
        stdin=bool(extra.get("stdin")),
        whole=bool(extra.get("whole")),
        choices=choices,
        default=default.value if isinstance(default, Enum) else default,
        description=field.description or "",
    )


def options_of(arguments: type[Arguments]) -> tuple[OptionSpec, ...]:
    """Return the options of an argument model, in the order of its fields."""
    return tuple(_option(name, field) for name, field in arguments.model_fields.items())


def _exit_codes(handler: type[CommandHandler[Any, Any]]) -> tuple[int, ...]:
    codes = {0, 1, 2, 5, 130, 143}
    codes |= {error.exit_status for error in handler.errors}
    codes |= {7, 4} if handler.context else set()
    codes |= {8} if handler.session_type else set()
    return tuple(sorted(codes))


def _error_codes(handler: type[CommandHandler[Any, Any]]) -> tuple[str, ...]:
    common: tuple[type[NexusError], ...] = handler.errors
    return tuple(sorted({error.code for error in common}))


def is_change_told(handler: type[CommandHandler[Any, Any]]) -> bool:
    """Say whether a command's result says what it did: those that change something, and do it themselves."""
    changes = {Effect.WRITE, Effect.DESTRUCTIVE} & handler.effects
    return bool(changes) and not handler.command_line_only and not issubclass(handler, ForwardingHandler)


def _result_schema(handler: type[CommandHandler[Any, Any]]) -> dict[str, Any]:
    schema = handler.result.model_json_schema(mode="serialization")
    if is_change_told(handler) and "change" not in schema.get("properties", {}):
        told = {"enum": list(get_args(Change)), "title": "Change", "type": "string"}
        schema["properties"] = {**schema.get("properties", {}), "change": told}
    return schema


def specification_of(handler: type[CommandHandler[Any, Any]]) -> CommandSpec:
    """Describe a handler class. Raises `TypeError` when it declares too little or contradicts itself."""
    doc = inspect.cleandoc(handler.__doc__ or "")
    if not doc:
        raise TypeError(f"{handler.__name__} has no docstring: its first line is the command's summary")
    if not handler.examples:
        raise TypeError(f"{handler.__name__} has no example")
    summary, _, description = doc.partition("\n")
    effects = tuple(sorted(handler.effects, key=list(Effect).index))
    return CommandSpec(
        path=handler.path,
        handler_id="_".join(("handler", *handler.path)).replace("-", "_"),
        handler=f"{handler.__module__}:{handler.__qualname__}",
        summary=summary.strip(),
        description=description.strip(),
        options=options_of(handler.arguments),
        effects=effects,
        context=handler.context,
        session_type=handler.session_type,
        command_line_only=handler.command_line_only,
        examples=handler.examples,
        errors=_error_codes(handler),
        exit_codes=_exit_codes(handler),
        events=handler.events,
        deprecated=handler.deprecated,
        arguments_schema=handler.arguments.model_json_schema(by_alias=False),
        result_schema=_result_schema(handler),
    )
