"""From a line of text to words, by the quoting rules of the shell (POSIX.1-2024 XCU 2.2) and with no shell.

Nothing is expanded, substituted or run: `$`, `;`, `|`, `>`, `*`, `~` and `#` are characters like any other.
"""

import re
from dataclasses import dataclass

from nexus.schemas.errors import ParseError


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a line may hold: characters, arguments, characters an argument."""

    characters: int = 10_000
    arguments: int = 100
    argument: int = 10_000


LIMITS = Limits()

_BLANK = re.compile(r"[ \t\r\n]*+")
# Possessive: a quote that is never closed is told after one pass, whatever stands behind it.
_WORD = re.compile(r"""(?:[^ \t\r\n\\'"]++|'[^']*+'|"(?:[^"\\]++|\\.)*+"|\\.)*+""", re.DOTALL)
_QUOTED = re.compile(r"""'([^']*+)'|"((?:[^"\\]++|\\.)*+)"|((?:\\.)++)""", re.DOTALL)
# XCU 2.2.3: between double quotes a backslash quotes these, and before all others it is itself.
_ESCAPED_IN_DOUBLE = re.compile(r'\\([$`"\\\n])')

_CONTINUED = "\\\n"

_FAULTS = {
    "'": "A single quote is opened and never closed.",
    '"': "A double quote is opened and never closed.",
    "\\": "The line ends with a backslash that quotes nothing.",
}


def tokenize(line: str, limits: Limits = LIMITS) -> list[str]:
    """Return the words of a line.

    Raises `ParseError` with `token_position`, where the word begins that cannot be read (characters, from 0), and
    `token`, the number of that word (from 1).
    """
    if len(line) > limits.characters:
        raise _refused(f"The line is longer than {limits.characters} characters.", limits.characters, 1)
    words: list[str] = []
    position = _end(_BLANK, line, 0)
    while position < len(line):
        start, position = position, _end(_WORD, line, position)
        if position < len(line) and line[position] in _FAULTS:
            raise _refused(_FAULTS[line[position]], start, len(words) + 1)
        written = line[start:position]
        # A continued line alone makes no word; a pair of quotes makes an empty one.
        if written.replace(_CONTINUED, ""):
            if len(words) == limits.arguments:
                raise _refused(f"The line has more than {limits.arguments} arguments.", start, len(words) + 1)
            words.append(_QUOTED.sub(_meant, written))
            if len(words[-1]) > limits.argument:
                raise _refused(f"An argument is longer than {limits.argument} characters.", start, len(words))
        position = _end(_BLANK, line, position)
    return words


def _end(pattern: re.Pattern[str], line: str, position: int) -> int:
    found = pattern.match(line, position)
    return found.end() if found else position


def _meant(found: re.Match[str]) -> str:
    single, double, escaped = found.groups()
    if single is not None:
        return str(single)
    if double is not None:
        return _ESCAPED_IN_DOUBLE.sub(_unquoted, double) if "\\" in double else str(double)
    return str(escaped[1::2]).replace("\n", "")


def _unquoted(found: re.Match[str]) -> str:
    return "" if found[1] == "\n" else found[1]


def _refused(reason: str, position: int, number: int) -> ParseError:
    return ParseError.because(reason, token_position=position, token=number, hint="nexus help exec")
