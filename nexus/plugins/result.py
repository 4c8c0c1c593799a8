"""The part of JSON Schema in which manifests describe results: checked when it is read, then held against data."""

import re
from collections.abc import Mapping
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
_ANNOTATIONS = frozenset({"title", "description", "examples", "default", "format", "deprecated", "$schema"})
_KEYWORDS = _ANNOTATIONS | {
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "pattern", "anyOf",
}  # fmt: skip
_DEEPEST = 20


class ResultInvalid(ValueError):
    """Data do not fit a schema; the text says where."""


def check_schema(schema: Any, at: str = "result", depth: int = 0) -> None:
    """Return for a schema that can be held against data. Raises `ValueError` for a keyword that is not known here."""
    if schema is True:
        return
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        raise ValueError(f"{at} is no schema")
    strangers = sorted(set(schema) - _KEYWORDS)
    if strangers:
        raise ValueError(f"{at} has the keyword {strangers[0]!r}; known are {', '.join(sorted(_KEYWORDS))}")
    types = schema.get("type", [])
    for name in [types] if isinstance(types, str) else types:
        if name not in _TYPES:
            raise ValueError(f"{at} has the type {name!r}, which JSON does not have")
    if "pattern" in schema:
        re.compile(schema["pattern"])
    for name, inner in schema.get("properties", {}).items():
        check_schema(inner, f"{at}.{name}", depth + 1)
    for inner in (*([schema["items"]] if "items" in schema else []), *schema.get("anyOf", [])):
        check_schema(inner, f"{at}[]", depth + 1)
    if isinstance(schema.get("additionalProperties"), Mapping):
        check_schema(schema["additionalProperties"], f"{at}.*", depth + 1)


def check_result(value: Any, schema: Any, at: str = "data") -> None:
    """Return for data that fit. Raises `ResultInvalid` with the place of the first misfit."""
    if schema is True:
        return
    _check_type(value, schema, at)
    if "enum" in schema and value not in schema["enum"]:
        raise ResultInvalid(f"{at} is none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        raise ResultInvalid(f"{at} is not {schema['const']!r}")
    if "anyOf" in schema and not any(_fits(value, inner) for inner in schema["anyOf"]):
        raise ResultInvalid(f"{at} fits none of the schemas that it may")
    if isinstance(value, dict):
        _check_object(value, schema, at)
    elif isinstance(value, list):
        _check_size(len(value), schema, "Items", at)
        for number, item in enumerate(value if "items" in schema else ()):
            check_result(item, schema["items"], f"{at}[{number}]")
    else:
        _check_plain(value, schema, at)


def _check_plain(value: Any, schema: Mapping[str, Any], at: str) -> None:
    if isinstance(value, str):
        _check_size(len(value), schema, "Length", at)
        if "pattern" in schema and not re.search(schema["pattern"], value):
            raise ResultInvalid(f"{at} does not match {schema['pattern']}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high:
            raise ResultInvalid(f"{at} is out of its bounds")


def _fits(value: Any, schema: Any) -> bool:
    try:
        check_result(value, schema)
    except ResultInvalid:
        return False
    return True


def _check_type(value: Any, schema: Mapping[str, Any], at: str) -> None:
    wanted = schema.get("type")
    if wanted is None:
        return
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        # JSON's true is no number, though Python's is.
        if isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool)):
            return
        if name == "integer" and isinstance(value, float) and value.is_integer():
            return
    raise ResultInvalid(f"{at} is no {' or '.join(names)}")


def _check_object(value: dict[str, Any], schema: Mapping[str, Any], at: str) -> None:
    for name in schema.get("required", ()):
        if name not in value:
            raise ResultInvalid(f"{at} has no {name}")
    properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name in properties:
            check_result(inner, properties[name], f"{at}.{name}")
        elif more is False:
            raise ResultInvalid(f"{at} has {name!r}, which its schema has not")
        elif isinstance(more, Mapping):
            check_result(inner, more, f"{at}.{name}")


def _check_size(size: int, schema: Mapping[str, Any], what: str, at: str) -> None:
    if size < schema.get(f"min{what}", size) or size > schema.get(f"max{what}", size):
        raise ResultInvalid(f"{at} is of a length that its schema forbids")
