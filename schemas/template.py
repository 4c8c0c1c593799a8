"""Templates: texts to start from."""

from pydantic import Field

from nexus.schemas.model import Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery
from nexus.schemas.project import Name


class Template(Model):
    id: str
    name: str
    content: str
    description: str | None = None
    category: str | None = None
    favorite: bool = False
    created_at: Timestamp
    updated_at: Timestamp


class TemplateQuery(PageQuery):
    name: str | None = None
    category: str | None = None
    favorite: bool | None = None


class NewTemplate(StrictModel):
    name: Name
    content: str = Field(min_length=1, max_length=1_000_000)
    description: str | None = Field(default=None, max_length=10_000)
    category: str | None = Field(default=None, max_length=200)


class TemplateChanges(StrictModel):
    """What is left out stays as it is."""

    name: Name | None = None
    content: str | None = Field(default=None, min_length=1, max_length=1_000_000)
    description: str | None = Field(default=None, max_length=10_000)
    category: str | None = Field(default=None, max_length=200)
    favorite: bool | None = None
