"""Whether what a step is told fits into a program's arguments and environment, which the system bounds."""

import json
from collections.abc import Iterator, Mapping

from nexus.kernel.pipelines.parameters import text_of
from nexus.kernel.pipelines.words import size_of
from nexus.schemas.errors import ValidationError
from nexus.schemas.pipeline import ParameterValue, PipelineDocument, StepDefinition

MOST_WORD = 128 * 1024 - 1
"""Bytes of one argument, or of one variable with its name (MAX_ARG_STRLEN of Linux)."""
MOST_TOLD = 1024 * 1024
"""Bytes of all of them; Linux takes twice as much, and the sandbox has words of its own."""
OF_EACH = 9
"""What each takes beside its bytes."""
PATH_BYTES = 512
"""A folder or file that takes the place of a reference has about so many, and mostly less."""
PARAMETERS = "NEXUS_PARAMETERS"
HINT = "Have the step read a file instead: a data set, or one that a step which it needs left."


def check(document: PipelineDocument, parameters: Mapping[str, ParameterValue] | None = None) -> None:
    """Return when every step can be told its words, with these parameters filled in or, with None, as it is written.

    Raises `ValidationError`, whose `field` is the place.
    """
    told = len(json.dumps(dict(parameters or {}), ensure_ascii=False).encode()) + len(PARAMETERS) + 1
    _fits("The parameters", told, MOST_WORD, "parameters")
    sizes = {f"parameters.{name}": len(text_of(value).encode()) for name, value in (parameters or {}).items()}
    other = PATH_BYTES if parameters is not None else 0
    for name, step in document.steps.items():
        total = told
        for place, text, more in _words(step):
            field = f"steps.{name}.{place}"
            size = size_of(text, sizes, other) + more
            _fits(field, size, MOST_WORD, field)
            total += size + OF_EACH
        _fits(f"What the step {name} is told", total, MOST_TOLD, f"steps.{name}.run")


def _words(step: StepDefinition) -> Iterator[tuple[str, str, int]]:
    """Yield where each word is, the word, and how many bytes come before it."""
    for number, word in enumerate(step.run):
        yield f"run.{number}", word, 0
    for name, text in step.environment.items():
        yield f"environment.{name}", text, len(name) + 1


def _fits(what: str, size: int, most: int, field: str) -> None:
    if size > most:
        raise ValidationError.because(
            f"{what} would take {size} bytes, and a program takes no more than {most}.",
            field=field,
            expected=f"at most {most} bytes",
            hint=HINT,
        )
