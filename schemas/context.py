"""The selections that commands work in, and how a command changes them."""

from typing import Literal

from pydantic import Field

from nexus.schemas.model import Model, StrictModel

ContextKind = Literal["project", "roadmap", "chat", "session", "element"]
"""What can be selected. `session` is an AI session, `element` a network element."""

CONTEXT_KINDS: tuple[ContextKind, ...] = ("project", "roadmap", "chat", "session", "element")

CLEARED_BY: dict[ContextKind, tuple[ContextKind, ...]] = {
    "project": ("roadmap", "chat"),
    "roadmap": ("chat",),
}
"""Selecting the key clears the values: they belonged to what was selected before."""


class Selection(Model):
    """One selected thing."""

    id: str
    name: str | None = None


class ContextState(Model):
    """What is selected, in one named context."""

    project: Selection | None = None
    roadmap: Selection | None = None
    chat: Selection | None = None
    session: Selection | None = None
    element: Selection | None = None


class ContextUpdate(StrictModel):
    """A handler's instruction: select these, clear those. Applied and persisted by the dispatcher."""

    select: dict[ContextKind, Selection] = Field(default_factory=dict)
    clear: tuple[ContextKind, ...] = ()


class ContextChange(Model):
    """One selection as it was and as it is now; null is nothing selected."""

    kind: ContextKind
    before: Selection | None
    after: Selection | None
