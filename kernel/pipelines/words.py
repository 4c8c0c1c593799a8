"""Words of a step with references in them: `${parameters.rows}` is replaced, `$${` is a plain `${`."""

import re
from collections.abc import Mapping

from nexus.schemas.errors import ValidationError
from nexus.schemas.errors.error import clipped

_MARK = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"(?:parameters|datasets|inputs)\.[A-Za-z0-9_-]{1,63}|project")

PLAIN = "$${"
HINT = "Write ${parameters.NAME}, ${datasets.NAME}, ${inputs.STEP} or ${project}; a plain ${ is written $${."


def references(text: str) -> list[str]:
    """Return what a text refers to, as `parameters.rows`, in its order. Raises `ValidationError` for what is none."""
    return [_name(text, mark) for mark in _MARK.finditer(text) if mark[0] != PLAIN]


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its references replaced; what a value holds is taken as it is.

    Raises `ValidationError` for what is no reference, or one to nothing in `values`.
    """

    def value(mark: re.Match[str]) -> str:
        if mark[0] == PLAIN:
            return "${"
        name = _name(text, mark)
        if name not in values:
            raise ValidationError.because(
                f"${{{name}}} refers to nothing that is there.", available=sorted(values), hint=HINT
            )
        return values[name]

    return _MARK.sub(value, text)


def size_of(text: str, sizes: Mapping[str, int], other: int) -> int:
    """Return how many bytes a text has with its references replaced: `sizes` tells of each, `other` of the rest."""
    total = len(text.encode())
    for mark in _MARK.finditer(text):
        total += (2 if mark[0] == PLAIN else sizes.get(mark[1] or "", other)) - len(mark[0].encode())
    return total


def _name(text: str, mark: re.Match[str]) -> str:
    name = mark[1]
    if name is None or not _NAME.fullmatch(name):
        what = clipped(text[mark.start() :], 60) if name is None else clipped(mark[0], 60)
        raise ValidationError.because(f"{what!r} is no reference.", hint=HINT)
    return name
