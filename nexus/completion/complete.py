"""What may come next on a command line: names, flags, values that are known, and values that live in the kernel."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from nexus.completion.live import Source, source_of
from nexus.completion.words import Typed
from nexus.registry.flags import GLOBAL_FLAGS, GLOBAL_OPTIONS
from nexus.registry.index import CommandIndex
from nexus.registry.resolve import aliased, resolve, split_dotted
from nexus.schemas.command import CommandPath, CommandSpec, GroupSpec, OptionSpec
from nexus.schemas.errors import AmbiguousCommand, CommandNotFound

Kind = Literal["plain", "files", "folders"]

_OF_FILES = frozenset({"input", "config", "from", "from_", "to", "file", "source"})
_OF_FOLDERS = frozenset({"content_path", "cwd", "workspace_path"})
_OF_THE_TREE = (("help",), ("schema",))
"""Commands whose arguments are the words of another."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One word that may stand at the cursor, and what it is."""

    value: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """The candidates; or that the shell is to offer files or folders of its own."""

    candidates: tuple[Candidate, ...] = ()
    kind: Kind = "plain"


Live = Callable[[Source, Mapping[str, str]], Awaitable[list[tuple[str, str]]]]
"""Asks for the values of a source, and what they are, under the flags typed so far."""


@dataclass(slots=True)
class _Line:
    """Where the words before the cursor have led."""

    node: CommandSpec | GroupSpec
    path: CommandPath = ()
    pending: OptionSpec | None = None
    given: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    positional: int = 0
    only_words: bool = False
    within: CommandPath | None = None


async def complete(index: CommandIndex, typed: Typed, live: Live) -> Reply:
    """Return what may stand at the cursor; nothing where the words before it name nothing."""
    root = index.node(())
    if not isinstance(root, GroupSpec):
        return Reply()
    line = _Line(root)
    try:
        for word in typed.before:
            _step(index, line, word)
    except (CommandNotFound, AmbiguousCommand):
        return Reply()
    reply = await _at_cursor(index, line, typed.current, live)
    if reply.kind != "plain":
        return reply
    wanted = typed.current.casefold()
    return Reply(tuple(found for found in reply.candidates if found.value.casefold().startswith(wanted)))


def _step(index: CommandIndex, line: _Line, word: str) -> None:
    if line.pending is not None:
        line.given[line.pending.name] = word
        line.pending = None
    elif word == "--":
        line.only_words = True
    elif word.startswith("-") and word != "-" and not line.only_words:
        _step_flag(index, line, word)
    elif isinstance(line.node, GroupSpec):
        for part in split_dotted([word]) if not line.path else [word]:
            words = [*line.path, part]
            found = resolve(index, words, abbreviations=True, to_run=False)
            line.node, line.path = found.node, found.node.path
            # A word that an alias's group does not have is its command's first argument.
            line.positional = len(words) - found.words
        if line.within is None and line.path in _OF_THE_TREE:
            root = index.node(())
            if isinstance(root, GroupSpec):
                line.within, line.node, line.path = line.path, root, ()
    else:
        line.positional += 1


def _step_flag(index: CommandIndex, line: _Line, word: str) -> None:
    name, has_value, value = word.partition("=")
    option = _option(line, name)
    meant = aliased(index, line.node) if option is None else None
    if meant is not None:
        line.node, line.path = meant, meant.path
        option = _option(line, name)
    if option is None:
        return
    line.flags.update(option.flags)
    if has_value:
        line.given[option.name] = value
    elif option.kind != "boolean":
        line.pending = option


def _option(line: _Line, flag: str) -> OptionSpec | None:
    for option in line.node.options if isinstance(line.node, CommandSpec) else ():
        if flag in option.flags:
            return option
    return GLOBAL_FLAGS.get(flag)


async def _at_cursor(index: CommandIndex, line: _Line, current: str, live: Live) -> Reply:
    if line.pending is not None:
        return await _values(line, line.node, line.pending, live)
    name, has_value, _ = current.partition("=")
    if current.startswith("--") and has_value and not line.only_words:
        option = _option(line, name)
        reply = await _values(line, line.node, option, live) if option is not None else Reply()
        return Reply(tuple(Candidate(f"{name}={found.value}", found.about) for found in reply.candidates), reply.kind)
    meant = aliased(index, line.node)
    if current.startswith("-") and not line.only_words:
        return Reply(tuple(_flags(line, meant or line.node)))
    if isinstance(line.node, CommandSpec):
        return await _by_place(line, line.node, live)
    first = await _by_place(line, meant, live) if meant is not None else Reply()
    return Reply((*_names(index, line), *first.candidates))


async def _by_place(line: _Line, spec: CommandSpec, live: Live) -> Reply:
    by_place = [option for option in spec.options if option.positional]
    if not by_place or (line.positional >= len(by_place) and by_place[-1].kind != "list"):
        return Reply()
    return await _values(line, spec, by_place[min(line.positional, len(by_place) - 1)], live)


def _names(index: CommandIndex, line: _Line) -> Iterator[Candidate]:
    group = line.node
    if isinstance(group, GroupSpec):
        for child in group.children:
            yield Candidate(child.name, child.summary)
    known = {child.name for child in group.children} if isinstance(group, GroupSpec) else set()
    for alias in index.aliases():
        name = alias.path[len(line.path)] if len(alias.path) > len(line.path) else ""
        if name and alias.path[: len(line.path)] == line.path and name not in known:
            known.add(name)
            yield Candidate(name, f"Short for {' '.join(alias.target)}" if alias.path[-1] == name else "")


def _flags(line: _Line, node: CommandSpec | GroupSpec) -> Iterator[Candidate]:
    own = node.options if isinstance(node, CommandSpec) else ()
    for option in (*own, *GLOBAL_OPTIONS):
        if option.kind == "list" or not line.flags.intersection(option.flags):
            for flag in option.flags:
                if flag.startswith("--"):
                    yield Candidate(flag, option.description)


async def _values(line: _Line, node: CommandSpec | GroupSpec, option: OptionSpec, live: Live) -> Reply:
    if option.choices:
        return Reply(tuple(Candidate(choice) for choice in option.choices))
    spec = node if isinstance(node, CommandSpec) else None
    source = source_of(spec.path if spec is not None else (), option, spec)
    if source is not None:
        return Reply(tuple(Candidate(*found) for found in await live(source, line.given)))
    if option.name in _OF_FILES:
        return Reply(kind="files")
    return Reply(kind="folders") if option.name in _OF_FOLDERS else Reply()
