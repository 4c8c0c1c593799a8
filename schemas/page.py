"""Lists: one page of items and the cursor of the next."""

from typing import Generic, TypeVar

from pydantic import Field

from nexus.schemas.model import Model, StrictModel

Item = TypeVar("Item")

DEFAULT_LIMIT = 50
MOST_ITEMS = 1000


class Page(Model, Generic[Item]):
    """`truncated` says that the list was cut; `next_cursor` then goes on where it was."""

    items: list[Item]
    next_cursor: str | None = None
    truncated: bool = False


class PageQuery(StrictModel):
    """What every list takes. `sort` is a field's name, with `-` before it for descending."""

    filter: str | None = Field(default=None, description="Keep only items that contain this text.")
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MOST_ITEMS, description="How many items at the most.")
    cursor: str | None = Field(default=None, description="Go on from the nextCursor of an earlier page.")
    sort: str | None = Field(default=None, description="Sort by this field; -FIELD sorts descending.")
