"""What a run is told: parameters and data sets, from flags, a file, or JSON."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic import ValidationError as ModelError
from pydantic_core import PydanticCustomError

from nexus.handlers.pipeline.document import fault_at
from nexus.handlers.pipeline.outline import OutlineInvalid, outline_of
from nexus.handlers.texts import file_given
from nexus.schemas.command import Arguments, ExecutionContext
from nexus.schemas.errors import ValidationError, clipped
from nexus.schemas.pipeline import ParameterValue, PipelineDetails
from nexus.schemas.run import NewRun

MOST_BYTES = 1024 * 1024
MOST_TOLD = 100

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")


def _assignments(value: Any) -> Any:
    """Read an object, as JSON has it, as the words of a command line."""
    if not isinstance(value, Mapping):
        return value
    return [f"{name}={_written(inner)}" for name, inner in value.items()]


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return str(value)
    raise PydanticCustomError("told", "A value is a text, a number, true or false.")


_AS_JSON = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "object"}]}
Assignments = Annotated[
    list[Annotated[str, Field(max_length=20_000)]],
    Field(max_length=MOST_TOLD),
    BeforeValidator(_assignments),
    WithJsonSchema(_AS_JSON),
]
"""Words such as `rows=10`, or an object of the same."""


class ToldArguments(Arguments):
    """Parameters and data sets of a run."""

    param: Assignments = Field(
        default_factory=list,
        description="A parameter, as rows=10; the text is read as what the pipeline says it is.",
        json_schema_extra={"whole": True, "metavar": "NAME=VALUE"},
    )
    params: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="A file with a JSON object of parameters; - reads standard input. A --param wins over it.",
        json_schema_extra={"metavar": "FILE", "stdin": True},
    )
    dataset: Assignments = Field(
        default_factory=list,
        description="A data set by id or name, as sales=NAME; NAME alone where the pipeline has exactly one.",
        json_schema_extra={"whole": True, "metavar": "WORD=NAME"},
    )


async def told_of(context: ExecutionContext[Any], pipeline: PipelineDetails) -> NewRun:
    """Return what the arguments tell a run of the pipeline. Raises `ValidationError`."""
    args: ToldArguments = context.args
    parameters: dict[str, Any] = {} if args.params is None else await _from_file(context, args.params)
    for word in args.param:
        name, given, value = word.partition("=")
        if not given or not name:
            raise ValidationError.because(
                f"--param {clipped(word)!r} is no NAME=VALUE.", field="param", expected="NAME=VALUE", hint=_HINT
            )
        parameters[name] = value
    try:
        return NewRun(parameters=parameters, datasets=_datasets(args.dataset, pipeline))
    except ModelError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in found["loc"][:2])
        raise ValidationError.because(f"{place}: {found['msg']}.", field=place, hint=_HINT) from error


_HINT = "nexus help pipeline run start"


def _datasets(given: list[str], pipeline: PipelineDetails) -> dict[str, str]:
    words = list(pipeline.document.datasets)
    found: dict[str, str] = {}
    for each in given:
        word, assigned, name = each.partition("=")
        if not assigned or not _WORD.fullmatch(word):
            if len(words) != 1:
                raise ValidationError.because(
                    f"--dataset {clipped(each)!r} does not say which of the pipeline's data sets it is."
                    if words
                    else f"The pipeline {pipeline.name!r} works on no data set.",
                    field="dataset",
                    expected=[f"{known}=NAME" for known in words],
                    hint=_HINT,
                )
            word, name = words[0], each
        if word in found:
            raise ValidationError.because(f"--dataset names {word!r} twice.", field="dataset", hint=_HINT)
        found[word] = name
    return found


async def _from_file(context: ExecutionContext[Any], source: str) -> dict[str, ParameterValue]:
    content, name = await file_given(context, source, field="params", limit=MOST_BYTES)
    try:
        outline = outline_of(content.decode("utf-8-sig"), is_json=True)
    except UnicodeDecodeError as error:
        raise fault_at(name, None, f"it is no UTF-8 at byte {error.start}", field="params", hint=_HINT) from None
    except OutlineInvalid as error:
        raise fault_at(name, error.place, error.reason, field="params", hint=_HINT) from error
    if not isinstance(outline.value, dict):
        raise fault_at(name, outline.place, "parameters are a JSON object", field="params", hint=_HINT)
    found: dict[str, ParameterValue] = {}
    for parameter, node in outline.value.items():
        if node.value is None or isinstance(node.value, dict | list):
            reason = f"{clipped(parameter)!r} is no text, number, true or false"
            raise fault_at(name, node.place, reason, field="params", hint=_HINT)
        found[parameter] = node.value
    return found
