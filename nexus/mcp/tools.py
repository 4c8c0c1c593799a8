"""The tools that are offered: one a namespace, small enough that a client can hold them all."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nexus.registry.index import CommandIndex
from nexus.schemas.command import CommandPath, CommandSpec, Effect, GroupSpec
from nexus.schemas.errors import NotFound, PermissionDenied

BUILT_INS = "nexus"
"""The tool of the commands without a namespace."""
DISCOVERY = ("help", "schema")

INSTRUCTIONS = (
    "Each tool is a namespace of the nexus command line. Call it with a command of its list and args, the command's "
    "flags by name (--content-path is contentPath; what stands by place has its lower-case name). args also take "
    "project, roadmap, chat, fields, query, limit, cursor, dryRun, and yes for what cannot be undone; nothing is "
    "selected beforehand. help and schema take args.path, such as 'project create'. A line of an example or a hint "
    "runs by the tool nexus, command exec, args.line. truncated and nextCursor say that there is more: pass it as "
    "cursor, or as resume where a command has none."
)

ENVELOPE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"status": {"enum": ["ok", "error"]}, "data": {}, "errors": {"type": "array"}},
    "required": ["status", "data", "errors"],
}


@dataclass(frozen=True)
class Namespace:
    """One tool: its name, what it is for, and the commands that it offers, by the words of its list."""

    name: str
    summary: str
    commands: dict[str, CommandSpec]

    @property
    def prefix(self) -> CommandPath:
        """The words that stand before a command's own."""
        return () if self.name == BUILT_INS else (self.name,)

    @cached_property
    def effects(self) -> frozenset[Effect]:
        """What its commands may do, all together."""
        return frozenset(effect for spec in self.commands.values() for effect in spec.effects)

    @property
    def description(self) -> str:
        """Name the resources, or the commands of the tool that has none."""
        if self.name == BUILT_INS:
            return f"{self.summary} Run help for details"
        resources = dict.fromkeys(words.partition(" ")[0] for words in self.commands)
        return f"{self.summary} Resources: {', '.join(resources)}. Run help for details"

    @property
    def input_schema(self) -> dict[str, Any]:
        """Return the schema of the tool's arguments."""
        names = [*(() if self.name == BUILT_INS else DISCOVERY), *self.commands]
        return {
            "type": "object",
            "properties": {"command": {"enum": names}, "args": {"type": "object"}},
            "required": ["command"],
        }


class Offer:
    """What one server offers of the tree, the same to every client.

    `read_only` leaves out what changes anything; `namespaces` are the ones that are offered, all without it. Raises
    `NotFound` for a namespace that there is not.
    """

    def __init__(self, index: CommandIndex, *, read_only: bool, namespaces: Iterable[str] = ()) -> None:
        self._index = index
        self._read_only = read_only
        wanted = tuple(dict.fromkeys(name.casefold() for name in namespaces))
        known = {namespace.name: namespace for namespace in self._namespaces()}
        for name in wanted:
            if name not in known:
                raise NotFound(resource="namespace", reference=name, available=list(known), hint="nexus help")
        self.namespaces = {name: known[name] for name in wanted or known}

    def _namespaces(self) -> Iterable[Namespace]:
        offered: dict[str, dict[str, CommandSpec]] = {}
        for spec in self._index.commands():
            if not spec.command_line_only and self._may(spec):
                name, words = (spec.path[0], spec.path[1:]) if len(spec.path) > 1 else (BUILT_INS, spec.path)
                offered.setdefault(name, {})[" ".join(words)] = spec
        for name, commands in sorted(offered.items()):
            group = self._index.node((name,))
            summary = group.summary if isinstance(group, GroupSpec) else "Commands without a namespace."
            yield Namespace(name, summary, commands)

    def _may(self, spec: CommandSpec) -> bool:
        return not self._read_only or not {Effect.WRITE, Effect.DESTRUCTIVE} & set(spec.effects)

    def check(self, spec: CommandSpec) -> None:
        """Return when a command is offered, however it was named. Raises `PermissionDenied`."""
        name = spec.path[0] if len(spec.path) > 1 else BUILT_INS
        if spec.path[-1] in DISCOVERY and len(spec.path) == 1:
            return
        namespace = self.namespaces.get(name)
        if namespace is None or spec not in namespace.commands.values():
            why = "changes something, and this server only reads" if not self._may(spec) else "is not offered here"
            raise PermissionDenied.because(
                f"'{' '.join(spec.path)}' {why}.", command=" ".join(spec.path), hint=f"nexus help {' '.join(spec.path)}"
            )
