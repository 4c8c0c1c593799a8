"""What a person decided about plugins, in one file of theirs: which are off, which are trusted, what each may do."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nexus.context.lock import locked
from nexus.context.store import storage_error, write_whole
from nexus.schemas.errors import ConfigInvalid
from nexus.schemas.regular import open_regular

_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """The decisions about one plugin of one place. `trusted` is the digest of the files that were trusted."""

    enabled: bool = True
    trusted: str | None = None
    granted: tuple[str, ...] = ()


@dataclass(slots=True)
class Records:
    """The decisions by plugins' keys; `path` need not exist."""

    path: Path
    known: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Records":
        """Read the file. Raises `ConfigInvalid`: what a person decided is never forgotten in silence."""
        try:
            with open_regular(path) as file:
                told = json.loads(file.read(_MOST_BYTES))
            return cls(path, {key: _record(value) for key, value in told["plugins"].items()})
        except FileNotFoundError:
            return cls(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigInvalid.because(
                f"{path} cannot be used: {str(error)[:200]}.", path=str(path), hint="nexus doctor"
            ) from error

    def of(self, key: str) -> Record:
        """Return the decisions about a plugin; those of a person who has decided nothing, for a new one."""
        return self.known.get(key, Record())


def _record(told: dict[str, Any]) -> Record:
    trusted = told.get("trusted")
    return Record(
        enabled=bool(told.get("enabled", True)),
        trusted=str(trusted) if trusted is not None else None,
        granted=tuple(map(str, told.get("granted", ()))),
    )


async def decide(path: Path, key: str, **decisions: Any) -> tuple[Record, Record]:
    """Change what is decided about one plugin; return what was before and what is now. Raises storage errors."""

    def change(known: dict[str, Record]) -> None:
        known[key] = replace(known.get(key, Record()), **decisions)

    before, after = await _changed(path, change)
    return before.of(key), after.of(key)


async def forget(path: Path, key: str) -> None:
    """Forget what was decided about a plugin that is gone."""
    await _changed(path, lambda known: known.pop(key, None))


async def _changed(path: Path, change: Callable[[dict[str, Record]], object]) -> tuple[Records, Records]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with locked(path.with_name(f".{path.name}.lock")):
            before = Records.read(path)
            known = dict(before.known)
            change(known)
            if known != before.known:
                told = {
                    key: {"enabled": record.enabled, "trusted": record.trusted, "granted": list(record.granted)}
                    for key, record in sorted(known.items())
                }
                write_whole(path, json.dumps({"plugins": told}, indent=2).encode() + b"\n")
            return before, Records(path, known)
    except OSError as error:
        raise storage_error(error, path) from error
