"""The command index: one line a node, sorted by path, found by bisection, so that size costs nothing.

A line is `path words joined by a space, TAB, JSON`. Looking one node up touches a few pages of the file, with 150
commands or 10,000, and imports no handler.
"""

import json
import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from nexus.schemas.command import (
    AliasSpec,
    ChildSpec,
    CommandPath,
    CommandSpec,
    Effect,
    Example,
    GroupSpec,
    Node,
    OptionSpec,
)
from nexus.schemas.errors import CommandNotFound, NexusError

BUILT_IN_INDEX = Path(__file__).parent / "commands.index"

_KINDS: dict[type[Node], str] = {CommandSpec: "command", GroupSpec: "group", AliasSpec: "alias"}


def key_of(path: CommandPath) -> bytes:
    """Return the bytes that a node's line starts with."""
    return " ".join(path).encode() + b"\t"


def write_index(nodes: Iterable[Node], target: Path) -> None:
    """Write the nodes as an index file."""
    target.write_bytes(index_bytes(nodes))


def index_bytes(nodes: Iterable[Node]) -> bytes:
    """Return what an index file of these nodes holds, sorted; equal nodes give equal bytes."""
    lines = []
    for node in nodes:
        body = {"kind": _KINDS[type(node)], **_told(node)}
        lines.append(key_of(node.path) + json.dumps(body, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return b"".join(sorted(lines))


class IndexFile:
    """One index file, mapped. Raises `FileNotFoundError` when it is not there."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._bytes: mmap.mmap | bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @classmethod
    def of(cls, content: bytes) -> "IndexFile":
        """Return the index that these bytes are, in memory."""
        index = cls.__new__(cls)
        index._bytes = content  # noqa: SLF001 -- its own
        return index

    def _line_start(self, position: int) -> int:
        return self._bytes.rfind(b"\n", 0, position) + 1

    def _first_at_or_after(self, key: bytes) -> int:
        low, high = 0, len(self._bytes)
        while low < high:
            start = self._line_start((low + high) // 2)
            end = self._bytes.find(b"\n", start)
            if self._bytes[start : self._bytes.find(b"\t", start) + 1] < key:
                low = end + 1
            else:
                high = start
        return low

    def _lines_from(self, start: int) -> Iterator[tuple[bytes, bytes]]:
        while start < len(self._bytes):
            tab = self._bytes.find(b"\t", start)
            end = self._bytes.find(b"\n", tab)
            yield self._bytes[start : tab + 1], self._bytes[tab + 1 : end]
            start = end + 1

    def body(self, path: CommandPath) -> bytes | None:
        """Return the JSON of the node with exactly this path."""
        key = key_of(path)
        for found, body in self._lines_from(self._first_at_or_after(key)):
            return body if found == key else None
        return None

    def bodies_under(self, path: CommandPath) -> Iterator[bytes]:
        """Yield the JSON of the node and of every node below it."""
        key = key_of(path)[:-1]
        for found, body in self._lines_from(self._first_at_or_after(key + b"\t")):
            if not path or found == key + b"\t" or found.startswith(key + b" "):
                yield body
            else:
                return


def _told(spec: Any) -> dict[str, Any]:
    """Return what a specification says beyond its defaults, as JSON can hold it."""
    told = {}
    for field in fields(spec):
        value = getattr(spec, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if value != default:
            nested = isinstance(value, tuple) and value and is_dataclass(value[0])
            told[field.name] = [_told(inner) for inner in value] if nested else value
    return told


def _node(body: bytes) -> Node:
    """Read a line that `write_index` wrote; it is ours, so it is not validated again on every command."""
    told: dict[str, Any] = json.loads(body)
    kind = told.pop("kind")
    told["path"] = tuple(told["path"])
    if kind == "alias":
        return AliasSpec(path=told["path"], target=tuple(told["target"]))
    if kind == "group":
        children = tuple(ChildSpec(**child) for child in told.get("children", ()))
        return GroupSpec(**told | {"children": children, "alias": tuple(told.get("alias", ()))})
    return _command(told)


def _alias_of(node: Node) -> AliasSpec | None:
    if isinstance(node, GroupSpec):
        return AliasSpec(path=node.path, target=node.alias) if node.alias else None
    return node if isinstance(node, AliasSpec) else None


def _command(told: dict[str, Any]) -> CommandSpec:
    for name in "context", "errors", "exit_codes", "events":
        if name in told:
            told[name] = tuple(told[name])
    if "effects" in told:
        told["effects"] = tuple(map(Effect, told["effects"]))
    told["options"] = tuple(_option(option) for option in told.get("options", ()))
    told["examples"] = tuple(
        Example(line=example["line"], shows=example["shows"], needs=tuple(example.get("needs", ())))
        for example in told.get("examples", ())
    )
    return CommandSpec(**told)


def _option(told: dict[str, Any]) -> OptionSpec:
    for name in "flags", "choices":
        if name in told:
            told[name] = tuple(told[name])
    return OptionSpec(**told)


class CommandIndex:
    """Every node of several index files as one tree: the built-in one first, plugins' after it."""

    def __init__(self, files: Iterable[IndexFile]) -> None:
        self._files = tuple(files)
        self._nodes: dict[CommandPath, Node | None] = {}
        self._aliases: list[AliasSpec] | None = None
        self.own_alias: Callable[[str], AliasSpec | None] = lambda _word: None
        """Finds a person's own alias where no node has the name."""
        self.more_formats: tuple[str, ...] = ()
        """The output formats that plugins add."""
        self.withheld: Callable[[Sequence[str]], NexusError | None] = lambda _words: None
        """Says why words name no command which would, were a plugin trusted."""

    @classmethod
    def built_in(cls) -> "CommandIndex":
        """Open the index that was built with this version."""
        return cls([IndexFile(BUILT_IN_INDEX)])

    def beside(self, file: IndexFile | None) -> "CommandIndex":
        """Return this tree with the nodes of one more file, or as it is."""
        return CommandIndex(self._files if file is None else (*self._files, file))

    def node(self, path: CommandPath) -> Node | None:
        """Return the node with this canonical path, or None."""
        if path not in self._nodes:
            if len(self._nodes) > 4096:
                self._nodes.clear()
            self._nodes[path] = self._read(path)
        return self._nodes[path]

    def _read(self, path: CommandPath) -> Node | None:
        bodies = [body for file in self._files if (body := file.body(path)) is not None]
        if not bodies:
            return None
        first = _node(bodies[0])
        if not isinstance(first, GroupSpec) or len(bodies) == 1:
            return first
        children: dict[str, ChildSpec] = {}
        for body in bodies:
            group = _node(body)
            if isinstance(group, GroupSpec):
                children = {child.name: child for child in group.children} | children
        return replace(first, children=tuple(sorted(children.values(), key=lambda child: child.name)))

    def commands(self, under: CommandPath = ()) -> list[CommandSpec]:
        """Return every command below a path, in order of their paths."""
        nodes = (_node(body) for file in self._files for body in file.bodies_under(under))
        return sorted((node for node in nodes if isinstance(node, CommandSpec)), key=lambda spec: spec.path)

    def find(self, words: Sequence[str]) -> CommandSpec | GroupSpec:
        """Return what the words name, as a command line reads them. Raises `CommandNotFound`, `AmbiguousCommand`."""
        from nexus.registry.resolve import resolve, split_dotted

        whole = split_dotted(list(words))
        found = resolve(self, whole, abbreviations=True, to_run=False)
        if found.words < len(whole):
            if mistyped := found.mistyped(whole):
                raise mistyped
            command = " ".join(found.node.path)
            raise CommandNotFound(given=" ".join(whole), suggestions=[command], hint=f"nexus help {command}")
        return found.node

    def global_options(self) -> tuple[OptionSpec, ...]:
        """Return the flags that every command takes."""
        from nexus.registry.flags import GLOBAL_OPTIONS

        if self.more_formats:
            return tuple(
                replace(option, choices=(*option.choices, *self.more_formats)) if option.name == "output" else option
                for option in GLOBAL_OPTIONS
            )
        return GLOBAL_OPTIONS

    def aliases(self) -> list[AliasSpec]:
        """Return every alias, in order of their paths; a group that is one too among them."""
        if self._aliases is None:
            nodes = (_node(body) for file in self._files for body in file.bodies_under(()) if b'"alias"' in body)
            self._aliases = sorted(filter(None, map(_alias_of, nodes)), key=lambda alias: alias.path)
        return list(self._aliases)
