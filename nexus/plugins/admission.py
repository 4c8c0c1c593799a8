"""Which of the plugins that were found are active, and why the others are not; the tree of those that are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nexus import __version__
from nexus.plugins.command import handler_class
from nexus.plugins.digest import digest_of
from nexus.plugins.discovery import Candidate
from nexus.plugins.manifest import Manifest, read_manifest
from nexus.plugins.records import Records
from nexus.plugins.versions import Range, Version
from nexus.registry.flags import GLOBAL_FLAGS, OUTPUT_FORMATS
from nexus.registry.index import CommandIndex
from nexus.registry.registry import HandlerRegistry
from nexus.schemas.errors import ConfigInvalid, NexusError, PluginConflict, PluginInvalid, PluginUntrusted
from nexus.schemas.plugin import PluginProblem, PluginState
from nexus.schemas.specification import CommandPath, CommandSpec, GroupSpec, Node
from nexus.sessions.types import BUILT_IN

LOCAL_VERSION = Version.parse(__version__.partition("+")[0])


@dataclass(frozen=True, slots=True)
class Entry:
    """One plugin: where it is from, its manifest if that can be read, whether it is active, and why not."""

    candidate: Candidate
    state: PluginState
    manifest: Manifest | None = None
    problem: PluginProblem | None = None
    digest: str | None = None
    granted: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The manifest's name; while it cannot be read, the folder's."""
        return self.manifest.name if self.manifest else self.candidate.label


@dataclass(slots=True)
class Admitted:
    """Every plugin, and the nodes that the active ones add to the tree."""

    entries: list[Entry] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)


def admit(candidates: Iterable[Candidate], records_at: Path, built_in: CommandIndex) -> Admitted:
    """Decide about every candidate; nothing of a plugin is imported, and nothing is raised.

    Earlier candidates win: the installed ones, then a person's own, then a project's.
    """
    try:
        records = Records.read(records_at)
    except ConfigInvalid as error:
        refused = [_refused(Entry(candidate, "active"), "disabled", error) for candidate in candidates]
        return Admitted(refused)
    return _Admission(built_in, records).of(candidates)


def _refused(entry: Entry, state: PluginState, error: NexusError) -> Entry:
    told = error.entry()
    problem = PluginProblem(code=told.code, message=told.message, hint=told.details.get("hint"))
    return replace(entry, state=state, problem=problem)


class _Admission:
    """One decision about all plugins at once."""

    def __init__(self, built_in: CommandIndex, records: Records) -> None:
        self._built_in = built_in
        self._records = records
        self._trees: dict[str, list[Node]] = {}

    def of(self, candidates: Iterable[Candidate]) -> Admitted:
        entries: list[Entry] = []
        names: dict[str, Entry] = {}
        for candidate in candidates:
            entry = self._alone(candidate)
            first = names.setdefault(entry.name, entry)
            if first is not entry and entry.state != "invalid":
                entry = _refused(
                    entry,
                    "conflict",
                    PluginConflict.because(
                        f"The plugin {entry.name} at {candidate.folder} has the name of the one at "
                        f"{first.candidate.folder}, which is taken first.",
                        paths=[first.candidate.folder, candidate.folder],
                    ),
                )
            entries.append(entry)
        entries = self._together(entries)
        trees = [self._trees[entry.candidate.folder] for entry in entries if entry.state == "active"]
        return Admitted(entries, merged(trees))

    def _alone(self, candidate: Candidate) -> Entry:
        """Decide what can be decided by the plugin alone."""
        entry = Entry(candidate, "active")
        try:
            manifest = read_manifest(Path(candidate.manifest))
            record = self._records.of(candidate.key)
            granted = tuple(right for right in manifest.permissions.rights() if right in record.granted)
            entry = replace(entry, manifest=manifest, granted=granted)
            if not record.enabled:
                return replace(entry, state="disabled")
            if candidate.origin == "project":
                entry = replace(entry, digest=digest_of(Path(candidate.folder)))
                if record.trusted != entry.digest:
                    since = "" if record.trusted is None else " any more: its files have changed since"
                    untrusted = PluginUntrusted(plugin=manifest.name, since=since)
                    return _refused(entry, "untrusted", untrusted)
            needed = Range.parse(manifest.requires.nexus)
            if not needed.holds(LOCAL_VERSION):
                raise PluginConflict.because(
                    f"The plugin {manifest.name} {manifest.version} needs nexus {needed}, and this is {LOCAL_VERSION}.",
                    needs={"nexus": str(needed)},
                    found=str(LOCAL_VERSION),
                )
            self._trees[candidate.folder] = _tree(manifest)
        except PluginConflict as error:
            return _refused(entry, "conflict", error)
        except NexusError as error:
            return _refused(entry, "invalid", error)
        except (ValueError, TypeError, LookupError, OSError, RecursionError) as error:
            reason = " ".join(str(error).split())[:300]
            invalid = PluginInvalid.because(f"{candidate.manifest} cannot be used: {reason}.", path=candidate.manifest)
            return _refused(entry, "invalid", invalid)
        return entry

    def _together(self, entries: list[Entry]) -> list[Entry]:
        """Refuse what clashes or misses another, and then what missed those, until nothing more is refused."""
        while True:
            decided = self._pass(entries)
            if decided == entries:
                return entries
            entries = decided

    def _pass(self, entries: Sequence[Entry]) -> list[Entry]:
        decided = list(entries)
        claims: dict[tuple[str, str], str] = {("output format", name): "nexus" for name in OUTPUT_FORMATS}
        claims |= {("session type", each.name): "nexus" for each in BUILT_IN}
        claims |= {("scheme of servers", name): "nexus" for name in ("http", "https", "ws", "wss", "file")}
        for place, entry in enumerate(decided):
            if entry.state != "active" or entry.manifest is None:
                continue
            there = {
                other.name: Version.parse(other.manifest.version)
                for other in decided
                if other.state == "active" and other.manifest is not None
            }
            try:
                _check_requirements(entry.manifest, there)
                self._check_claims(entry.manifest, claims)
            except PluginConflict as error:
                decided[place] = _refused(entry, "conflict", error)
                continue
            claims |= dict.fromkeys(_claims(entry.manifest), f"the plugin {entry.name}")
        return decided

    def _check_claims(self, manifest: Manifest, claims: dict[tuple[str, str], str]) -> None:
        """Raise `PluginConflict` for the first path or name that nexus or an earlier plugin has."""
        for path, _ in manifest.actions():
            for depth in (1, 2, 3):
                node = self._built_in.node(path[:depth])
                if node is not None and (depth == 3 or not isinstance(node, GroupSpec)):
                    raise _clash("command", " ".join(path[:depth]), manifest.name, "nexus")
        for claim in _claims(manifest):
            if claim in claims:
                raise _clash(*claim, manifest.name, claims[claim])


def _claims(manifest: Manifest) -> list[tuple[str, str]]:
    claimed = [("command", " ".join(path)) for path, _ in manifest.actions()]
    claimed += [("output format", name) for name in manifest.contributes.output_formats]
    claimed += [("authentication method", name) for name in manifest.contributes.authentication]
    claimed += [("session type", name) for name in manifest.contributes.session_types]
    claimed += [("scheme of servers", name) for name in manifest.contributes.backends]
    claimed += [("scheme of servers", name) for name in manifest.contributes.transports]
    claimed += [("template of a human answer", name) for name in manifest.contributes.templates.human]
    claimed += [("template of help", name) for name in manifest.contributes.templates.help]
    claimed += [("scaffold", name) for name in manifest.contributes.templates.scaffolds]
    return claimed


def _clash(what: str, name: str, plugin: str, other: str) -> PluginConflict:
    return PluginConflict.because(
        f"The plugin {plugin} claims the {what} '{name}', which {other} has.",
        claim=name,
        claimants=[other.removeprefix("the plugin "), plugin],
        hint=f"nexus settings plugin disable --name {plugin}",
    )


def _check_requirements(manifest: Manifest, there: dict[str, Version]) -> None:
    for name, text in manifest.requires.plugins.items():
        version = there.get(name)
        if version is None or not Range.parse(text).holds(version):
            found = "which is not active" if version is None else f"and {version} is here"
            raise PluginConflict.because(
                f"The plugin {manifest.name} {manifest.version} needs the plugin {name} {text}, {found}.",
                needs={name: text},
                found=None if version is None else str(version),
            )


def _tree(manifest: Manifest) -> list[Node]:
    """Register the commands as every other is, and return their nodes. Raises what registration refuses."""
    registry = HandlerRegistry(GLOBAL_FLAGS)
    for space, namespace in manifest.namespaces.items():
        registry.describe_group((space,), namespace.summary)
        for resource, within in namespace.resources.items():
            registry.describe_group((space, resource), within.summary)
    for path, action in manifest.actions():
        registry.register(*path, handler=handler_class(manifest, path, action))
    return registry.nodes() if manifest.namespaces else []


def merged(trees: Iterable[Iterable[Node]]) -> list[Node]:
    """Return the nodes of several trees as one: a group that several have has the children of all."""
    found: dict[CommandPath, Node] = {}
    for node in (node for tree in trees for node in tree):
        known = found.get(node.path)
        if isinstance(known, GroupSpec) and isinstance(node, GroupSpec):
            children = {child.name: child for child in (*node.children, *known.children)}
            found[node.path] = replace(known, children=tuple(children[name] for name in sorted(children)))
        else:
            found[node.path] = node
    return list(found.values())


def commands_of(nodes: Iterable[Node]) -> list[CommandSpec]:
    """Return the commands among nodes."""
    return [node for node in nodes if isinstance(node, CommandSpec)]


def told(entry: Entry) -> dict[str, Any]:
    """Return an entry as the catalog keeps it."""
    candidate = entry.candidate
    return {
        "candidate": [candidate.origin, candidate.folder, candidate.label, candidate.site],
        "state": entry.state,
        "manifest": entry.manifest.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        if entry.manifest
        else None,
        "problem": entry.problem.model_dump() if entry.problem else None,
        "digest": entry.digest,
        "granted": list(entry.granted),
    }
