"""Which project, roadmap or chat a command works in: flag over environment over what was selected."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nexus.schemas.chat import Chat
from nexus.schemas.command import ApiClient, GlobalFlags
from nexus.schemas.context import ContextKind, ContextState, Selection
from nexus.schemas.errors import ContextMissing, ContextStale, NexusError, NotFound, ReportedError
from nexus.schemas.page import Page
from nexus.schemas.project import Project
from nexus.schemas.roadmap import Roadmap


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind of thing is found. `above` is the kind that holds it, at whose `under` it is listed by name."""

    item: str
    under: str
    name_field: Literal["name", "title"]
    model: type[Any]
    hint: str
    above: ContextKind | None = None


KINDS: dict[ContextKind, Kind] = {
    "project": Kind("/api/projects/{id}", "/api/projects", "name", Project, "nexus agent project select --name NAME"),
    "roadmap": Kind(
        "/api/roadmaps/{id}",
        "/api/projects/{above}/roadmaps",
        "title",
        Roadmap,
        "nexus agent roadmap select --name NAME",
        above="project",
    ),
    "chat": Kind(
        "/api/chats/{id}",
        "/api/roadmaps/{above}/chats",
        "title",
        Chat,
        "nexus agent chat select --title TITLE",
        above="roadmap",
    ),
}
"""The kinds that live in the kernel. AI sessions and network elements join them with their commands."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What was asked for, and by what."""

    text: str
    source: Literal["flag", "environment", "selection"]


def _reference(
    kind: ContextKind, flags: GlobalFlags, environment: Mapping[str, str], state: ContextState
) -> Reference | None:
    if flag := getattr(flags, kind, None):
        return Reference(flag, "flag")
    if value := environment.get(f"NEXUS_{kind.upper()}"):
        return Reference(value, "environment")
    selection = getattr(state, kind)
    return Reference(selection.id, "selection") if selection else None


class References:
    """Finds what a command needs selected, asking the kernel for each thing at most once."""

    def __init__(self, api: ApiClient, flags: GlobalFlags, environment: Mapping[str, str], state: ContextState) -> None:
        self._api = api
        self._flags = flags
        self._environment = environment
        self._state = state
        self._found: dict[ContextKind, Selection] = {}

    async def effective(self, needs: tuple[ContextKind, ...]) -> ContextState:
        """Return the selections with every needed one checked to exist.

        What a flag or the environment names, and the command does not need, is not looked up. Raises
        `ContextMissing` (nothing selected), `ContextStale` (selected and deleted since), `NotFound` (named and absent).
        """
        for kind in needs:
            await self._find(kind)
        return self._state.model_copy(update=dict(self._found.items()))

    async def _find(self, kind: ContextKind) -> Selection:
        if kind in self._found:
            return self._found[kind]
        reference = _reference(kind, self._flags, self._environment, self._state)
        if reference is None:
            hint = KINDS[kind].hint if kind in KINDS else None
            raise ContextMissing(needs=kind, hint=hint)
        if kind not in KINDS:
            self._found[kind] = Selection(id=reference.text)
            return self._found[kind]
        try:
            selection = await self._look_up(kind, KINDS[kind], reference)
        except NexusError as error:
            if reference.source == "selection" and _is_absent(error):
                raise ContextStale(needs=kind, reference=self._label(kind), hint=KINDS[kind].hint) from error
            raise
        self._found[kind] = selection
        return selection

    def _label(self, kind: ContextKind) -> str:
        selection: Selection = getattr(self._state, kind)
        return selection.name or selection.id

    async def _look_up(self, kind: ContextKind, place: Kind, reference: Reference) -> Selection:
        try:
            found = await self._api.get(place.item, place.model, at={"id": reference.text})
        except ReportedError as error:
            if reference.source == "selection" or not _is_absent(error):
                raise
            return await self._look_up_by_name(kind, place, reference.text)
        return Selection(id=found.id, name=getattr(found, place.name_field))

    async def _look_up_by_name(self, kind: ContextKind, place: Kind, name: str) -> Selection:
        above = {"above": (await self._find(place.above)).id} if place.above else {}
        page = await self._api.get(place.under, Page[place.model], at=above, query=_by_name(kind, place, name))  # type: ignore[name-defined]
        if not page.items:
            raise NotFound(resource=kind, reference=name[:200], hint=f"nexus agent {kind} list")
        return Selection(id=page.items[0].id, name=getattr(page.items[0], place.name_field))


def _by_name(kind: ContextKind, place: Kind, name: str) -> dict[str, Any]:
    query: dict[str, Any] = {place.name_field: name, "limit": 1}
    return query | {"includeHidden": True} if kind == "project" else query


def _is_absent(error: NexusError) -> bool:
    return error.entry().type == "not_found"
