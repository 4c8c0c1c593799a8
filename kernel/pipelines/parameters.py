"""What a run is told: text read as the parameter's type, defaults filled in, and nothing that was not asked for."""

import json
import math
import re
from collections.abc import Mapping
from difflib import get_close_matches

from nexus.schemas.errors import ValidationError
from nexus.schemas.errors.error import clipped
from nexus.schemas.model import MOST_WHOLE
from nexus.schemas.pipeline import MOST_TEXT, Parameter, ParameterValue, PipelineDocument

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_BOOLEANS = {"true": True, "false": False}

Given = Mapping[str, ParameterValue]


def taken(document: PipelineDocument, given: Given) -> dict[str, ParameterValue]:
    """Return every parameter's value, typed. Raises `ValidationError` for one that is unknown, missing or not right."""
    known = document.parameters
    for name in given:
        if name not in known:
            raise ValidationError.because(
                f"The pipeline has no parameter {name!r}.",
                field=f"parameters.{name}",
                suggestions=get_close_matches(name, list(known)),
                available=sorted(known),
                hint="Tell only what is available, or add it to the pipeline's parameters.",
            )
    defaults = {name: each.default for name, each in known.items() if each.default is not None}
    values = {**defaults, **given}
    missing = [name for name in known if name not in values]
    if missing:
        raise ValidationError.because(
            f"The pipeline wants to be told {', '.join(missing)}.",
            field=f"parameters.{missing[0]}",
            missing=missing,
            hint=" ".join(f"--param {name}=…" for name in missing[:10]),
        )
    return {name: _chosen(name, parameter, values[name], f"parameters.{name}") for name, parameter in known.items()}


def check(document: PipelineDocument) -> None:
    """Return when each default and choice is what its parameter says. Raises `ValidationError`."""
    for name, parameter in document.parameters.items():
        if parameter.default is None:
            _choices(name, parameter)
        else:
            _chosen(name, parameter, parameter.default, f"parameters.{name}.default")


def typed(kind: str, value: ParameterValue, field: str) -> ParameterValue:
    """Return a value as the type; text is read. Raises `ValidationError`, which names the `field`."""
    found: ParameterValue | None
    match kind:
        case "string":
            found = _text(value)
        case "integer":
            found = _whole(value)
        case "number":
            found = _number(value)
        case _:
            found = value if isinstance(value, bool) else _BOOLEANS.get(value) if isinstance(value, str) else None
    if found is None:
        raise ValidationError.because(
            f"{field} wants {_EXPECTED[kind]}, and {clipped(repr(value), 60)} is none.",
            field=field,
            expected=kind,
            hint=f"Give {_EXPECTED[kind]}.",
        )
    return found


def text_of(value: ParameterValue) -> str:
    """Return a value as it stands in words: true or false, numbers as JSON has them, text as it is."""
    return value if isinstance(value, str) else json.dumps(value)


_EXPECTED = {
    "string": f"text of at most {MOST_TEXT} characters",
    "integer": "a whole number of 64 bits",
    "number": "a number",
    "boolean": "true or false",
}


def _choices(name: str, parameter: Parameter) -> list[ParameterValue] | None:
    if parameter.choices is None:
        return None
    return [typed(parameter.type, each, f"parameters.{name}.choices") for each in parameter.choices]


def _chosen(name: str, parameter: Parameter, given: ParameterValue, field: str) -> ParameterValue:
    choices = _choices(name, parameter)
    value = typed(parameter.type, given, field)
    if choices is not None and value not in choices:
        raise ValidationError.because(
            f"{clipped(repr(value), 60)} is no choice of the parameter {name}.",
            field=field,
            choices=choices,
            hint=f"Give one of: {clipped(', '.join(map(text_of, choices)))}.",
        )
    return value


def _text(value: ParameterValue) -> str | None:
    # It becomes a word of a command line, which takes no NUL.
    return value if isinstance(value, str) and len(value) <= MOST_TEXT and "\0" not in value else None


def _whole(value: ParameterValue) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = int(value) if _WHOLE.fullmatch(value) else None
    else:
        found = int(value) if isinstance(value, int) or value.is_integer() else None
    return found if found is not None and -MOST_WHOLE - 1 <= found <= MOST_WHOLE else None


def _number(value: ParameterValue) -> int | float | None:
    if isinstance(value, bool):
        return None
    whole = _whole(value) if not isinstance(value, float) else None
    if whole is not None:
        return whole
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
