"""From argv to a command, its raw arguments and the global flags. Parsing is click's; meaning is the models'."""

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import click
from click.core import ParameterSource

from nexus.dispatch.validation import is_text
from nexus.registry.flags import GLOBAL_FLAGS, GLOBAL_OPTIONS
from nexus.registry.index import CommandIndex
from nexus.registry.resolve import Resolution, aliased, resolve, split_dotted
from nexus.schemas.command import CommandPath, CommandSpec, GlobalFlags, GroupSpec, OptionSpec
from nexus.schemas.errors import NexusError, ParseError, UnknownOption, ValidationError, clipped

_RAW = click.types.UNPROCESSED


@dataclass(frozen=True, slots=True)
class Parsed:
    """What argv says: the node its words led to, the arguments as given, and the global flags."""

    node: CommandSpec | GroupSpec
    arguments: dict[str, Any]
    flags: GlobalFlags


def command_of(index: CommandIndex, parsed: Parsed) -> tuple[CommandSpec, dict[str, Any]]:
    """Return the command to run and its arguments: the one that was named, or help or version about it."""
    node, flags = parsed.node, parsed.flags
    if flags.version:
        return _command(index, "version"), {}
    if flags.help and node.path != ("help",):
        return _command(index, "help"), {"path": list(node.path)}
    if not isinstance(node, CommandSpec):
        raise LookupError("a group was not turned into help")
    return node, parsed.arguments


def _takes_value(flag: str) -> bool:
    return GLOBAL_FLAGS[flag].kind != "boolean"


def _split_leading(argv: list[str]) -> tuple[list[str], list[str], int | None]:
    """Take global flags out of the words before the command's end: (words, flags, index of a stranger or None)."""
    words: list[str] = []
    flags: list[str] = []
    position = 0
    while position < len(argv):
        word = argv[position]
        if word == "--" or not word.startswith("-") or word == "-":
            if word == "--":
                break
            words.append(word)
            position += 1
            continue
        name, has_value, _ = word.partition("=")
        if name not in GLOBAL_FLAGS:
            return words, flags, position
        takes_next = _takes_value(name) and not has_value
        flags += argv[position : position + 1 + takes_next]
        position += 1 + takes_next
    return words, flags, None


def _positions_of_words(argv: list[str]) -> list[int]:
    """Return where the words stand in argv that `_split_leading` takes for words."""
    positions: list[int] = []
    position = 0
    while position < len(argv) and argv[position] != "--":
        word = argv[position]
        name, has_value, _ = word.partition("=")
        if not word.startswith("-") or word == "-":
            positions.append(position)
        elif name not in GLOBAL_FLAGS:
            break
        elif _takes_value(name) and not has_value:
            position += 1
        position += 1
    return positions


def _rest_after(argv: list[str], words_taken: int) -> list[str]:
    """Return argv without the path's own words: flags that stood before and between, and all that came after."""
    path_positions = set(_positions_of_words(argv)[:words_taken])
    return [word for position, word in enumerate(argv) if position not in path_positions]


def parse(index: CommandIndex, argv: list[str], *, abbreviations: bool) -> Parsed:
    """Read argv. Raises `CommandNotFound`, `AmbiguousCommand`, `UnknownOption`, `ParseError`, `ValidationError`."""
    _refuse_broken_text(argv)
    argv = _spread_dotted(argv)
    words, leading, stranger = _split_leading(argv)
    try:
        found = resolve(index, words, abbreviations=abbreviations)
    except NexusError:
        if _asks_for_version(leading):
            return Parsed(_command(index, "version"), {}, GlobalFlags())
        raise
    node = found.node
    if isinstance(node, GroupSpec):
        # A flag that stands behind its name is one of the command whose other name it is, if it is one.
        meant = aliased(index, node) if stranger is not None or "--" in argv else None
        if meant is None:
            return _parse_partial(index, found, argv, leading, stranger)
        node = meant
    try:
        return _parse_command(index, node, _rest_after(argv, found.words))
    except ParseError as wrong:
        raise found.mistyped(words) or wrong from None


def _spread_dotted(argv: list[str]) -> list[str]:
    positions = _positions_of_words(argv)
    if not positions:
        return argv
    first = positions[0]
    return [*argv[:first], *split_dotted([argv[first]]), *argv[first + 1 :]]


def _refuse_broken_text(argv: list[str]) -> None:
    for position, word in enumerate(argv, start=1):
        if not is_text(word):
            raise ValidationError.because(f"Argument {position} is no UTF-8.", position=position, expected="UTF-8")


def _asks_for_version(flags: list[str]) -> bool:
    return "--version" in flags


def _command(index: CommandIndex, name: str) -> CommandSpec:
    node = index.node((name,))
    if not isinstance(node, CommandSpec):
        raise LookupError(f"the built-in command {name} is not in the index")
    return node


def _parse_partial(
    index: CommandIndex, found: Resolution, argv: list[str], leading: list[str], stranger: int | None
) -> Parsed:
    path = found.node.path
    if stranger is not None or "--" in argv:
        option = argv[stranger] if stranger is not None else "--"
        hint = f"nexus help {' '.join(path)}".rstrip()
        raise UnknownOption(option=clipped(option.partition("=")[0]), hint=hint, available=sorted(GLOBAL_FLAGS))
    help_command = _command(index, "help")
    flags = _parse_command(index, help_command, leading).flags
    if flags.version:
        return Parsed(_command(index, "version"), {}, flags)
    return Parsed(help_command, {"path": list(path)}, flags)


def _parse_command(index: CommandIndex, spec: CommandSpec, rest: list[str]) -> Parsed:
    if not rest:
        return Parsed(spec, {}, GlobalFlags())
    _refuse_flags_as_values(spec, rest)
    try:
        context = _parser_of(spec, _flags_in(rest)).make_context(" ".join(spec.path), list(rest))
    except click.exceptions.NoSuchOption:
        raise _unknown_option(spec, rest) from None
    except click.exceptions.UsageError as error:
        raise _usage_error(spec, error) from None
    given = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    flags = _global_flags(given, spec, index.more_formats)
    return Parsed(spec, {name: _value(option_named(spec, name), value) for name, value in given.items()}, flags)


def _refuse_flags_as_values(spec: CommandSpec, rest: list[str]) -> None:
    """Raise `ParseError` where a flag stands in the place of another's value: the value was forgotten."""
    words = rest[: rest.index("--")] if "--" in rest else rest
    if not any(one.startswith("--") and other.startswith("--") for one, other in pairwise(words)):
        return
    options = [(option, flag) for option in (*spec.options, *GLOBAL_OPTIONS) for flag in option.flags]
    known = {flag for _, flag in options}
    wanting = {flag for option, flag in options if option.kind != "boolean"}
    following = iter(words)
    for word in following:
        value = next(following, "") if word in wanting else ""
        if value.startswith("--") and value.partition("=")[0] in known:
            flag = value.partition("=")[0]
            raise ParseError.because(
                f"{word} wants a value, and {flag} is a flag. Write {word}={flag} if it is meant as the value.",
                command=" ".join(spec.path),
                field=next(option.name for option, own in options if own == word),
                hint=f"nexus {' '.join(spec.path)} --help",
            )


def _global_flags(given: dict[str, Any], spec: CommandSpec, formats: tuple[str, ...]) -> GlobalFlags:
    """Take the global flags out of what was given."""
    found: dict[str, Any] = {}
    for option in GLOBAL_OPTIONS:
        value = given.pop(_GLOBAL + option.name, None)
        if value is not None:
            is_own = option.name == "output" and value in formats
            found[option.name] = value if is_own else _global_value(option, value, spec)
    return GlobalFlags(**found)


_MAY_BE_EMPTY = ("fields", "query", "output", "timeout", "max_tokens")
"""Flags whose own check says more of an empty value than that it is empty."""


def _global_value(option: OptionSpec, value: Any, spec: CommandSpec) -> Any:
    expected: object = "a number"
    if value == "" and option.name not in _MAY_BE_EMPTY:
        # An unset variable in a script must not fall back to what is selected.
        raise ValidationError.because(
            f"{option.flags[0]} is empty.", field=option.name, hint=f"nexus {' '.join(spec.path)} --help"
        )
    try:
        if option.kind == "number":
            return float(value)
        if option.kind == "integer":
            expected = "a whole number"
            return int(value)
        expected = list(option.choices)
        if not option.choices or value in option.choices:
            return value
    except ValueError:
        pass
    raise ValidationError.because(
        f"{option.flags[0]} wants {' or '.join(option.choices) or expected}, not {clipped(value)!r}.",
        field=option.name,
        expected=expected,
        hint=f"nexus {' '.join(spec.path)} --help",
    )


def option_named(spec: CommandSpec, name: str) -> OptionSpec:
    """Return the option of a command by its argument's name. Raises `LookupError`."""
    for option in spec.options:
        if option.name == name:
            return option
    raise LookupError(f"{' '.join(spec.path)} has no argument {name}")


def _value(option: OptionSpec, value: Any) -> Any:
    """Turn what click found into what the argument model validates: lists from commas, objects from JSON."""
    if option.kind == "list":
        parts = [value] if isinstance(value, str) else list(value)
        if option.positional or option.whole:
            return parts
        return [piece.strip() for part in parts for piece in part.split(",") if piece.strip()]
    if option.kind == "json":
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ParseError.because(
                f"{option.flags[0]} wants JSON: {error}.",
                field=option.name,
                expected="JSON",
                hint=f"{option.flags[0]} '{{}}'",
            ) from None
    return value


_GLOBAL = "GLOBAL_"
"""Marks global flags in click's namespace; arguments are named in lower case."""


_parsers: dict[tuple[CommandPath, frozenset[str]], tuple[tuple[OptionSpec, ...], click.Command]] = {}


def _flags_in(rest: list[str]) -> frozenset[str]:
    """Return what may be flags among the words: click is slow over flags that are not there."""
    flags = set()
    for word in rest:
        if word == "--":
            break
        if word.startswith("--"):
            flags.add(word.partition("=")[0])
        elif word.startswith("-"):
            flags.update(f"-{letter}" for letter in word[1:])
    return frozenset(flags)


def _parser_of(spec: CommandSpec, flags: frozenset[str]) -> click.Command:
    """Return the parser of a command that knows these flags, and those of its options that are taken by place."""
    known = _parsers.get((spec.path, flags))
    if known is None or known[0] is not spec.options:
        if len(_parsers) > 2048:
            _parsers.clear()
        known = _parsers[spec.path, flags] = spec.options, _build_parser(spec, flags)
    return known[1]


def _build_parser(spec: CommandSpec, flags: AbstractSet[str] | None = None) -> click.Command:
    params = [
        _parameter(option, prefix + option.name, by_place=option.positional and not _given_by_flag(option, flags))
        for prefix, options in (("", spec.options), (_GLOBAL, GLOBAL_OPTIONS))
        for option in options
        if flags is None or option.positional or not flags.isdisjoint(option.flags)
    ]
    return click.Command(" ".join(spec.path), params=params, add_help_option=False)


def _given_by_flag(option: OptionSpec, flags: AbstractSet[str] | None) -> bool:
    """Say whether an argument that may be given by place or by flag is given by its flag."""
    return flags is not None and not flags.isdisjoint(option.flags)


def _parameter(option: OptionSpec, name: str, *, by_place: bool) -> click.Parameter:
    if by_place:
        many = option.kind == "list"
        return click.Argument([name], required=False, nargs=-1 if many else 1, type=_RAW)
    if option.kind == "boolean":
        on = [flag for flag in option.flags if not flag.startswith("--no-")]
        off = [flag for flag in option.flags if flag.startswith("--no-")]
        declared = [f"{on[0]}/{off[0]}", *on[1:]] if off else on
        return click.Option([name, *declared], is_flag=True, default=False)
    return click.Option([name, *option.flags], type=_RAW, multiple=option.kind == "list", default=None)


def _unknown_option(spec: CommandSpec, rest: list[str]) -> UnknownOption:
    """Parse again with every flag, so that the nearest ones are told."""
    try:
        _build_parser(spec).make_context(" ".join(spec.path), list(rest))
    except click.exceptions.NoSuchOption as error:
        return UnknownOption(
            option=clipped(error.option_name),
            suggestions=list(error.possibilities or ()),
            available=[flag for option in spec.options for flag in option.flags],
            hint=f"nexus {' '.join(spec.path)} --help",
        )
    raise LookupError("an option that the command has was not among those of its parser")


def _usage_error(spec: CommandSpec, error: click.exceptions.UsageError) -> ParseError:
    return ParseError.because(
        clipped(error.format_message(), 400),
        command=" ".join(spec.path),
        examples=[example.line for example in spec.examples],
        hint=f"nexus {' '.join(spec.path)} --help",
    )
