"""What a person has typed so far, as a shell would read it, were it finished."""

import re
from dataclasses import dataclass

from nexus.cli.tokenizer import tokenize
from nexus.schemas.errors import ParseError

_LAST_BLANK = re.compile(r"[ \t\r\n]")
LONGEST_LINE = 10_000


@dataclass(frozen=True, slots=True)
class Typed:
    """The words before the cursor's own, and the one that the cursor ends; `quote` is a quote that is open there."""

    before: tuple[str, ...]
    current: str
    quote: str = ""


def typed_in(line: str) -> Typed:
    """Read a line up to the cursor; what stands before the command's name, and the name, are left out."""
    line = line[-LONGEST_LINE:]
    for quote, close in ("", ""), ("\\", "\\"), ("'", "'"), ('"', '"'):
        try:
            words = tokenize(line + close)
        except ParseError:
            continue
        if not quote and (not line or _LAST_BLANK.match(line[-1])):
            words.append("")
        return _after_name(words, "" if quote == "\\" else quote)
    return Typed((), "")


def _after_name(words: list[str], quote: str) -> Typed:
    for number, word in enumerate(words[:-1]):
        if word.rpartition("/")[2] == "nexus":
            return Typed(tuple(words[number + 1 : -1]), words[-1], quote)
    return Typed(tuple(words[1:-1]), words[-1] if len(words) > 1 else "", quote)
