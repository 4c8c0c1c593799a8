"""One line of text as a command to run: exact names only, under the global flags of who brought the line."""

from dataclasses import fields, replace

from nexus.cli.parse import Parsed, parse
from nexus.cli.tokenizer import tokenize
from nexus.registry.index import CommandIndex
from nexus.schemas.command import GlobalFlags

_NO_FLAGS = GlobalFlags()
_NOT_PASSED_ON = frozenset({"input", "help", "version"})
"""What was meant for the command that brought the line, and not for the one in it."""


def words_of(line: str) -> list[str]:
    """Return the line's words without a leading `nexus`, so that a hint or an example can be run as it is written.

    Raises `ParseError`.
    """
    words = tokenize(line)
    return words[1:] if words[:1] == ["nexus"] else words


def parse_line(index: CommandIndex, line: str, outer: GlobalFlags = _NO_FLAGS) -> tuple[list[str], Parsed]:
    """Return the line's words and what they say. Raises `ParseError` and what `parse` raises."""
    words = words_of(line)
    parsed = parse(index, words, abbreviations=False)
    return words, replace(parsed, flags=flags_over(parsed.flags, outer))


def flags_over(inner: GlobalFlags, outer: GlobalFlags) -> GlobalFlags:
    """Return the inner flags, and the outer ones where those say nothing."""
    if outer == _NO_FLAGS:
        return inner
    said = {
        field.name: getattr(outer, field.name)
        for field in fields(GlobalFlags)
        if field.name not in _NOT_PASSED_ON and getattr(inner, field.name) == field.default
    }
    return replace(inner, **said)
