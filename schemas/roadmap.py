"""Roadmaps: what a project is to become, with a progress in percent."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from nexus.schemas.model import Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery

RoadmapStatus = Literal["planned", "active", "paused", "completed", "archived"]
Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Progress = Annotated[int, Field(ge=0, le=100)]


class Roadmap(Model):
    """A roadmap of one project. `progress` is a whole number of percent."""

    id: str
    project_id: str
    title: str
    tags: list[str] = Field(default_factory=list)
    status: RoadmapStatus = "planned"
    progress: int = 0
    created_at: Timestamp
    updated_at: Timestamp


class RoadmapSummary(Model):
    """How a roadmap stands: the answer of `GET /api/roadmaps/{id}/status`."""

    id: str
    title: str
    status: RoadmapStatus
    progress: int
    chat_count: int
    message_count: int
    updated_at: Timestamp


class RoadmapQuery(PageQuery):
    """`title` asks for the one roadmap of the project with this exact title."""

    title: str | None = None


class NewRoadmap(StrictModel):
    title: Title
    tags: list[Tag] = Field(default_factory=list, max_length=100)


class RoadmapChanges(StrictModel):
    """What is left out stays as it is."""

    title: Title | None = None
    tags: list[Tag] | None = Field(default=None, max_length=100)
    status: RoadmapStatus | None = None
    progress: Progress | None = None
