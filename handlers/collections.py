"""The kinds of things that the kernel keeps and commands name: where each is listed, found, and what it stands in."""

from typing import Any

from nexus.handlers.references import Collection
from nexus.schemas.chat import Chat
from nexus.schemas.context import ContextKind
from nexus.schemas.model import Model
from nexus.schemas.page import Page
from nexus.schemas.project import Project
from nexus.schemas.roadmap import Roadmap

PROJECTS = Collection(
    resource="project",
    listed_at="/api/projects",
    found_at="/api/projects/{id}",
    page=Page[Project],
    item=Project,
    query={"includeHidden": True},
)

ROADMAPS = Collection(
    resource="roadmap",
    listed_at="/api/projects/{id}/roadmaps",
    found_at="/api/roadmaps/{id}",
    page=Page[Roadmap],
    item=Roadmap,
    called="title",
    stands_in=("project", "project_id"),
)

CHATS = Collection(
    resource="chat",
    listed_at="/api/roadmaps/{id}/chats",
    found_at="/api/chats/{id}",
    page=Page[Chat],
    item=Chat,
    called="title",
    stands_in=("roadmap", "roadmap_id"),
)


class Named(Model):
    """As much of an AI session or a network element as a selection keeps: their whole models are dear to import."""

    id: str
    name: str


ELEMENTS = Collection(
    resource="element",
    namespace="network",
    listed_at="/api/network/elements",
    found_at="/api/network/elements/{id}",
    page=Page[Named],
    item=Named,
)

AI_SESSIONS = Collection(
    resource="session",
    namespace="ai",
    listed_at="/api/ai/sessions",
    found_at="/api/ai/sessions/{id}",
    page=Page[Named],
    item=Named,
)

SELECTABLE: dict[ContextKind, Collection[Any]] = {
    "project": PROJECTS,
    "roadmap": ROADMAPS,
    "chat": CHATS,
    "session": AI_SESSIONS,
    "element": ELEMENTS,
}
"""What can be selected and lives in the kernel."""
