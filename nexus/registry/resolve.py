"""From words to a node of the tree: exact names win, a unique prefix resolves for people, the rest is a clear error."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nexus.schemas.command import AliasSpec, CommandPath, CommandSpec, Effect, GroupSpec, Node
from nexus.schemas.errors import AmbiguousCommand, CommandNotFound, NexusError, clipped


class Tree(Protocol):
    """The nodes that words are looked up in; where there is none, a person's own aliases, or why there is none."""

    own_alias: Callable[[str], AliasSpec | None]
    withheld: Callable[[Sequence[str]], NexusError | None]

    def node(self, path: CommandPath) -> Node | None: ...


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where the words led: the node, how many words it took, and whether a word was abbreviated.

    `instead` is the group whose name stood for the command, because the next word is none of its children's.
    """

    node: CommandSpec | GroupSpec
    words: int
    abbreviated: bool = False
    instead: GroupSpec | None = None

    def mistyped(self, words: list[str]) -> CommandNotFound | None:
        """Return that there is no such command, where a word that was no child's name is near to one."""
        group = self.instead
        if group is None or len(words) <= self.words:
            return None
        error = _not_found(group.path, [child.name for child in group.children], words[: self.words + 1])
        return error if error.data["suggestions"] else None


def split_dotted(words: list[str]) -> list[str]:
    """Split `agent.project.list` and `agent/project/list`, when they come first, into three words."""
    if not words:
        return words
    for separator in ".", "/":
        parts = words[0].split(separator)
        if len(parts) > 1 and all(part.replace("-", "").isalnum() for part in parts):
            return [*parts, *words[1:]]
    return words


def resolve(index: Tree, words: list[str], *, abbreviations: bool, to_run: bool = True) -> Resolution:
    """Follow the words as deep as they lead: to a command, or to the group at which they end.

    Raises `CommandNotFound` for a word that its level does not have, `AmbiguousCommand` for an abbreviation with
    several meanings or, `to_run`, of a destructive command. Words after a command's path are left to its parser; at a
    group that is an alias too, so is every word that is no whole name of one of its children.
    """
    path: CommandPath = ()
    node = index.node(path)
    abbreviated = False
    for count, word in enumerate(words):
        if isinstance(node, CommandSpec):
            break
        step = (*path, word.casefold())
        above, node = node, index.node(step)
        if node is None and isinstance(above, GroupSpec) and above.alias:
            return Resolution(_command(index, above.alias), count, abbreviated, above)
        if node is None and not path:
            node = index.own_alias(word.casefold())
        if node is None and abbreviations and word:
            step = _completed(index, path, word.casefold())
            node, abbreviated = index.node(step), True
        if isinstance(node, AliasSpec):
            path, node = node.target, index.node(node.target)
        elif node is None:
            raise index.withheld(words) or _not_found(path, _children(index, path), words[: count + 1])
        else:
            path = step
    else:
        count = len(words)
    if not isinstance(node, CommandSpec | GroupSpec):
        raise LookupError("the command index has no root: build it with python -m nexus.registry.build")
    if to_run and abbreviated and isinstance(node, CommandSpec) and Effect.DESTRUCTIVE in node.effects:
        full = " ".join(node.path)
        raise AmbiguousCommand(
            given=clipped(" ".join(words[:count])),
            meanings=f"only '{full}', which destroys something and is never abbreviated",
            matches=[full],
            hint=f"nexus {full} --help",
        )
    return Resolution(node, count, abbreviated)


def aliased(index: Tree, node: CommandSpec | GroupSpec) -> CommandSpec | None:
    """Return the command that a group's name is another name of, where it is one."""
    return _command(index, node.alias) if isinstance(node, GroupSpec) and node.alias else None


def _command(index: Tree, path: CommandPath) -> CommandSpec:
    node = index.node(path)
    if not isinstance(node, CommandSpec):
        raise LookupError(f"the alias of {' '.join(path)} names no command: python -m nexus.registry.build")
    return node


def _children(index: Tree, path: CommandPath) -> list[str]:
    group = index.node(path)
    return [child.name for child in group.children] if isinstance(group, GroupSpec) else []


def _completed(index: Tree, path: CommandPath, start: str) -> CommandPath:
    matches = [name for name in _children(index, path) if name.startswith(start)]
    if len(matches) > 1:
        given = " ".join((*path, start))
        full = [" ".join((*path, name)) for name in matches]
        raise AmbiguousCommand(
            given=clipped(given), meanings=", ".join(full), matches=full, hint=f"nexus help {' '.join(path)}".rstrip()
        )
    return (*path, matches[0]) if matches else (*path, start)


def _not_found(path: CommandPath, available: list[str], given: list[str]) -> CommandNotFound:
    from difflib import get_close_matches

    near = get_close_matches(given[-1].casefold(), available, n=3, cutoff=0.5)
    suggestions = [" ".join((*path, name)) for name in near]
    hint = f"nexus help {suggestions[0]}" if suggestions else f"nexus help {' '.join(path)}".rstrip()
    return CommandNotFound(given=clipped(" ".join(given)), suggestions=suggestions, available=available, hint=hint)
