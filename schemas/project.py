"""Projects: a name, a folder of content, and everything done in them."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from nexus.schemas.model import Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery

ProjectStatus = Literal["active", "paused", "completed", "archived"]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
]


class Project(Model):
    """`content_path` is the absolute folder that the project's files live in."""

    id: str
    name: str
    category: str | None = None
    description: str | None = None
    status: ProjectStatus = "active"
    theme: dict[str, Any] = Field(default_factory=dict)
    content_path: str
    git_url: str | None = None
    hidden: bool = False
    created_at: Timestamp
    updated_at: Timestamp


class ProjectDetails(Project):
    """A project with what belongs to it, counted."""

    roadmap_count: int
    chat_count: int


class ProjectQuery(PageQuery):
    """`name` asks for the one project with this exact name."""

    include_hidden: bool = False
    name: str | None = None


class NewProject(StrictModel):
    """Without `content_path` the kernel makes a folder of its own; with `git_url` it clones into it."""

    name: Name
    category: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=10_000)
    content_path: str | None = Field(default=None, max_length=4096)
    git_url: str | None = Field(default=None, max_length=2048)
    hidden: bool = False


class ProjectChanges(StrictModel):
    """What is left out stays as it is."""

    name: Name | None = None
    category: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=10_000)
    status: ProjectStatus | None = None
    theme: dict[str, Any] | None = None
    content_path: str | None = Field(default=None, max_length=4096)
    git_url: str | None = Field(default=None, max_length=2048)
    hidden: bool | None = None
