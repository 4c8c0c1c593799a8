"""The catalog: all plugins of one set of folders, compiled once and kept, held valid by a stat of each file."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus import __version__
from nexus.context.store import write_whole
from nexus.plugins.discovery import Candidate, Root, folders_in, installed, site_folders
from nexus.plugins.stamps import Stamp, is_settled, stamp_of
from nexus.registry.index import BUILT_IN_INDEX, IndexFile
from nexus.schemas.errors import NexusError

if TYPE_CHECKING:
    from nexus.schemas.plugin import PluginState

FORM = 1
"""Another number for another form of the file."""
MOST_KEPT = 40


@dataclass(eq=False)
class Known:
    """One plugin of a catalog. Its manifest is validated when it is first asked for: few commands ask."""

    candidate: Candidate
    state: "PluginState"
    told: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None
    digest: str | None = None
    granted: tuple[str, ...] = ()

    @cached_property
    def manifest(self) -> Any:
        """The manifest. Raises `LookupError` for a plugin that has none which can be read."""
        from nexus.plugins.manifest import Manifest

        if self.told is None:
            raise LookupError(f"{self.candidate.manifest} cannot be read")
        return Manifest.model_validate(self.told)

    @property
    def name(self) -> str:
        """The manifest's name; while it cannot be read, the folder's."""
        return str(self.told["name"]) if self.told else self.candidate.label

    def list_of(self, *keys: str) -> Any:
        """Return what the manifest has under these keys, without validating it; None where it has nothing."""
        found: Any = self.told or {}
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found


@dataclass(eq=False)
class Catalog:
    """Every plugin of a set of folders, and the index of the commands of those that are active."""

    stamps: dict[str, Stamp | None]
    plugins: list[Known] = field(default_factory=list)
    index: IndexFile | None = None
    settled: bool = False

    def is_current(self) -> bool:
        """Say whether no file has changed since it was compiled."""
        return self.settled and all(stamp_of(path) == stamp for path, stamp in self.stamps.items())

    @cached_property
    def active(self) -> list[Known]:
        """The plugins that run."""
        return [plugin for plugin in self.plugins if plugin.state == "active"]

    @cached_property
    def by_name(self) -> dict[str, Known]:
        """The active plugins by their names."""
        return {plugin.name: plugin for plugin in self.active}

    def contributing(self, *keys: str) -> Iterator[tuple[Known, Any]]:
        """Yield each active plugin whose manifest has something under these keys, with what it has."""
        for plugin in self.active:
            found = plugin.list_of(*keys)
            if found:
                yield plugin, found

    @cached_property
    def output_formats(self) -> tuple[str, ...]:
        """The output formats that plugins add."""
        return tuple(name for _, formats in self.contributing("contributes", "outputFormats") for name in formats)

    def writes(self, output: str) -> bool:
        """Say whether a plugin may write an answer of this format."""
        if output != "human":
            return output in self.output_formats
        return any(any(self.contributing("contributes", "templates", kind)) for kind in ("human", "help"))

    @cached_property
    def reaches(self) -> bool:
        """Whether any plugin brings ways to servers, or sign-ins."""
        return any(any(self.contributing("contributes", kind)) for kind in ("authentication", "backends", "transports"))

    @cached_property
    def listens(self) -> bool:
        """Whether any plugin does something beside commands that are not its own."""
        return bool(self.hooks) or any(self.contributing("contributes", "validators"))

    @cached_property
    def hooks(self) -> dict[str, list[tuple[Known, dict[str, Any]]]]:
        """The hooks of active plugins by their events."""
        found: dict[str, list[tuple[Known, dict[str, Any]]]] = {}
        for plugin, hooks in self.contributing("hooks"):
            for hook in hooks:
                found.setdefault(hook["event"], []).append((plugin, hook))
        return found


def file_for(state: Path, roots: Sequence[Root]) -> Path:
    """Return where the catalog of these folders is kept: another process may have other packages beside it."""
    told = "\0".join((str(BUILT_IN_INDEX), *site_folders(), *(f"{root.origin}:{root.path}" for root in roots)))
    return state / "plugins" / f"{hashlib.sha256(told.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.catalog"


def load(path: Path) -> Catalog | None:
    """Return the catalog that was kept, None where there is none of this version that can be read."""
    try:
        head, _, index = path.read_bytes().partition(b"\n")
        told = json.loads(head)
        if told["form"] != FORM or told["nexus"] != __version__:
            return None
        return Catalog(
            stamps={name: tuple(stamp) if stamp else None for name, stamp in told["stamps"].items()},
            plugins=[_known(plugin) for plugin in told["plugins"]],
            index=IndexFile.of(index) if index else None,
            settled=True,
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # What was kept is only ever made again: a damaged file is no loss.
        return None


def _known(told: dict[str, Any]) -> Known:
    return Known(
        candidate=Candidate(*told["candidate"]),
        state=told["state"],
        told=told["manifest"],
        problem=told["problem"],
        digest=told["digest"],
        granted=tuple(told["granted"]),
    )


def keep(path: Path, catalog: Catalog, plugins: list[dict[str, Any]], index: bytes) -> None:
    """Write a catalog for the processes that follow; where that cannot be, each makes its own."""
    if not catalog.settled:
        return
    told = {"form": FORM, "nexus": __version__, "stamps": catalog.stamps, "plugins": plugins}
    with suppress(NexusError, OSError):
        write_whole(path, json.dumps(told, separators=(",", ":")).encode() + b"\n" + index)
        _forget_old(path.parent)


def _forget_old(folder: Path) -> None:
    kept = sorted(folder.glob("*.catalog"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[MOST_KEPT:]:
        path.unlink(missing_ok=True)


@dataclass
class Found:
    """What there is in a set of folders, with the stamps of all that was looked at."""

    stamps: dict[str, Stamp | None]
    candidates: list[Candidate]
    looked: int


def find(roots: Sequence[Root], records: Path) -> Found:
    """Look for plugins; no manifest is read yet."""
    stamps: dict[str, Stamp | None] = {}
    for place in (*site_folders(), *(root.path for root in roots), str(records), str(BUILT_IN_INDEX)):
        stamps[place] = stamp_of(place)
    found = [*installed(), *(candidate for root in roots for candidate in folders_in(root))]
    for candidate in found:
        stamps[candidate.manifest] = stamp_of(candidate.manifest)
    there = [each for each in found if stamps[each.manifest] is not None or each.origin == "installed"]
    return Found(stamps, there, time.time_ns())


def compiled(found: Found, path: Path, records: Path) -> Catalog:
    """Judge the plugins that were found, and keep the catalog at `path`. Blocks."""
    if not found.candidates:
        catalog = Catalog(found.stamps, settled=is_settled(found.stamps.values(), found.looked))
        keep(path, catalog, [], b"")
        return catalog
    from nexus.plugins.admission import admit, told
    from nexus.registry.index import CommandIndex, index_bytes

    admitted = admit(found.candidates, records, CommandIndex.built_in())
    index = index_bytes(admitted.nodes) if admitted.nodes else b""
    plugins = [told(entry) for entry in admitted.entries]
    catalog = Catalog(
        stamps=found.stamps,
        plugins=[_known(plugin) for plugin in plugins],
        index=IndexFile.of(index) if index else None,
        settled=is_settled(found.stamps.values(), found.looked),
    )
    keep(path, catalog, plugins, index)
    return catalog
