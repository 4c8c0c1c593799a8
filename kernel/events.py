"""What the rest of the kernel may want to know of projects. Told after it was committed."""

from dataclasses import dataclass
from typing import Literal

from nexus.schemas.chat import Chat, Message, MessagesCleared
from nexus.schemas.kernel import Deleted
from nexus.schemas.roadmap import Roadmap

Happening = Literal[
    "roadmap-updated",
    "roadmap-deleted",
    "chat-created",
    "chat-updated",
    "chat-deleted",
    "message-sent",
    "messages-cleared",
]


@dataclass(frozen=True, slots=True)
class ProjectDeleted:
    """A project is gone with all that belonged to it; what worked in it should end now.

    `runs` are those of its pipelines, which are gone too.
    """

    project_id: str
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoadmapActivity:
    """Something happened in a roadmap; `item` is the answer that whoever did it was given."""

    roadmap_id: str
    happening: Happening
    item: Roadmap | Chat | Message | MessagesCleared | Deleted
