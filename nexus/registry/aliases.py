"""A person's own aliases: one word for one canonical path, in a file of theirs, never in the way of a command."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from nexus.context.lock import locked
from nexus.context.store import storage_error, write_whole
from nexus.registry.index import CommandIndex
from nexus.schemas.command import AliasSpec, CommandPath, CommandSpec
from nexus.schemas.errors import ConfigInvalid, Conflict, NotFound, ValidationError
from nexus.schemas.regular import open_regular

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MOST_BYTES = 256 * 1024
_MOST_ALIASES = 1000


class UserAliases:
    """The aliases in one file; it is read again when it changed. Nothing is created before the first is set."""

    def __init__(self, path: Path, index: CommandIndex) -> None:
        self._path = path
        self._index = index
        self._seen: tuple[int, int, int] | None = None
        self._known: dict[str, CommandPath] = {}

    def find(self, word: str) -> AliasSpec | None:
        """Return the alias of this name if it names a command, or None; a file that cannot be read has none."""
        try:
            target = self._read().get(word)
        except ConfigInvalid:
            return None
        # A target that was a command of another version is none now.
        if target is None or not isinstance(self._index.node(target), CommandSpec):
            return None
        return AliasSpec(path=(word,), target=target)

    def list(self) -> list[AliasSpec]:
        """Return every alias, by name. Raises `ConfigInvalid`."""
        return [AliasSpec(path=(name,), target=target) for name, target in sorted(self._read().items())]

    async def set(self, name: str, target: CommandPath) -> tuple[AliasSpec, CommandPath | None]:
        """Write an alias and return it with what it named before.

        Raises `ValidationError` for a name that is no word, `Conflict` for one that is taken by a command, a namespace
        or a built-in alias, `NotFound` for a target that is no command, `ConfigInvalid`, storage errors.
        """
        name = name.casefold()
        if not _NAME.fullmatch(name):
            raise ValidationError.because(
                "An alias is one word of letters, digits, '-' and '_', 64 of them at the most.", field="name"
            )
        if self._index.node((name,)) is not None:
            raise Conflict.because(
                f"'{name}' is a name of nexus itself, which no alias hides.", field="name", hint=f"nexus help {name}"
            )
        node = self._index.find(target)
        if not isinstance(node, CommandSpec):
            raise NotFound(
                resource="command", reference=" ".join(target), hint=f"nexus help {' '.join(node.path)}".rstrip()
            )
        before: CommandPath | None = None

        def change(aliases: dict[str, CommandPath]) -> None:
            nonlocal before
            before = aliases.get(name)
            if before is None and len(aliases) >= _MOST_ALIASES:
                raise ValidationError.because(f"There are {_MOST_ALIASES} aliases already.", limit=_MOST_ALIASES)
            aliases[name] = node.path

        await self._change(change)
        return AliasSpec(path=(name,), target=node.path), before

    async def delete(self, name: str) -> AliasSpec:
        """Take an alias away and return it. Raises `NotFound`, `ConfigInvalid`, storage errors."""
        name = name.casefold()
        gone: list[CommandPath] = []

        def change(aliases: dict[str, CommandPath]) -> None:
            if name not in aliases:
                raise NotFound(
                    resource="alias", reference=name[:200], available=sorted(aliases), hint="nexus settings alias list"
                )
            gone.append(aliases.pop(name))

        await self._change(change)
        return AliasSpec(path=(name,), target=gone[0])

    async def _change(self, change: Callable[[dict[str, CommandPath]], None]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            async with locked(self._path.with_name(f".{self._path.name}.lock")):
                self._seen = None
                aliases = dict(self._read())
                change(aliases)
                told = {known: " ".join(target) for known, target in sorted(aliases.items())}
                write_whole(self._path, json.dumps(told, indent=2).encode() + b"\n")
                self._seen = None
        except OSError as error:
            raise storage_error(error, self._path) from error

    def _read(self) -> dict[str, CommandPath]:
        try:
            status = self._path.stat()
        except OSError:
            self._seen, self._known = None, {}
            return self._known
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._known, self._seen = self._parsed(), seen
        return self._known

    def _parsed(self) -> dict[str, CommandPath]:
        try:
            with open_regular(self._path) as file:
                found = json.loads(file.read(_MOST_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            raise self._invalid(str(error)[:200]) from error
        if not isinstance(found, dict) or not all(isinstance(target, str) for target in found.values()):
            raise self._invalid("it wants an object of names and commands")
        return {name: tuple(target.split()) for name, target in found.items()}

    def _invalid(self, reason: str) -> ConfigInvalid:
        return ConfigInvalid.because(
            f"{self._path} cannot be used: {reason}.", path=str(self._path), hint="nexus doctor"
        )
