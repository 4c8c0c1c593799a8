"""Which project, roadmap or chat a command works in: flag over environment over what was selected."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nexus.handlers.collections import AI_SESSIONS, SELECTABLE
from nexus.handlers.references import Collection, is_absent
from nexus.schemas.command import ApiClient, GlobalFlags
from nexus.schemas.context import ContextKind, ContextState, Selection
from nexus.schemas.errors import ContextMissing, ContextStale, NexusError, SessionTypeMismatch
from nexus.schemas.session import Session

AI_SESSION_TYPE = "ai-chat"

HINTS: dict[ContextKind, str] = {
    "project": "nexus agent project list",
    "roadmap": "nexus agent roadmap list",
    "chat": "nexus agent chat list",
    "session": "nexus ai session list",
    "element": "nexus network element list",
}
"""What shows the things to choose from: a hint is a command that runs as it is written."""

EXAMPLES: dict[ContextKind, list[str]] = {
    "project": ["nexus agent project select --name NAME", "--project NAME"],
    "roadmap": ["nexus agent roadmap select --name NAME", "--roadmap NAME"],
    "chat": ["nexus agent chat select --title TITLE", "--chat TITLE"],
    "session": ["nexus ai session create --backend BACKEND", "--session-id ID"],
    "element": ["nexus network element select --name NAME"],
}


FLAGS: dict[ContextKind, str] = {"session": "session_id"}
"""Flags, and variables, that are not called as their kind is."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What was asked for, and by what."""

    text: str
    source: Literal["flag", "environment", "selection"]


def _reference(
    kind: ContextKind, flags: GlobalFlags, environment: Mapping[str, str], state: ContextState
) -> Reference | None:
    if flag := getattr(flags, FLAGS.get(kind, kind), None):
        return Reference(flag, "flag")
    if value := environment.get(f"NEXUS_{FLAGS.get(kind, kind).upper()}"):
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
            raise ContextMissing(needs=kind, hint=HINTS.get(kind), examples=EXAMPLES.get(kind))
        if kind not in SELECTABLE:
            self._found[kind] = Selection(id=reference.text)
            return self._found[kind]
        try:
            if kind == "session" and reference.source != "selection":
                # Not by name: the flag is one of any session's id.
                selection = await self._session(reference.text)
            else:
                selection = await self._look_up(SELECTABLE[kind], reference)
        except NexusError as error:
            if reference.source == "selection" and is_absent(error):
                raise ContextStale(
                    needs=kind, reference=self._label(kind), hint=HINTS[kind], examples=EXAMPLES[kind]
                ) from error
            raise
        self._found[kind] = selection
        return selection

    def _label(self, kind: ContextKind) -> str:
        selection: Selection = getattr(self._state, kind)
        return selection.name or selection.id

    async def _session(self, session_id: str) -> Selection:
        """Return an AI session. Raises `SessionTypeMismatch` for a session of another type, `SessionNotFound`."""
        try:
            return AI_SESSIONS.selection(await AI_SESSIONS.by_id(self._api, session_id))
        except NexusError as error:
            other = await self._session_type(session_id) if is_absent(error) else None
            if other in (None, AI_SESSION_TYPE):
                raise
            raise SessionTypeMismatch(session_id=session_id, actual=other, expected=AI_SESSION_TYPE) from error

    async def _session_type(self, session_id: str) -> str | None:
        try:
            return (await self._api.get("/api/sessions/{id}", Session, at={"id": session_id})).type
        except NexusError as error:
            if not is_absent(error):
                raise
            return None

    async def _look_up(self, collection: Collection[Any], reference: Reference) -> Selection:
        try:
            return collection.selection(await collection.by_id(self._api, reference.text))
        except NexusError as error:
            if reference.source == "selection" or not is_absent(error):
                raise
        if collection.stands_in:
            collection = collection.within((await self._find(collection.stands_in[0])).id)
        return collection.selection(await collection.by_name(self._api, reference.text))
