"""Pages of a list: by the sort key and the id, so that rows that come and go move nothing across a page's edge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, asc, desc, literal, or_, tuple_

from nexus.kernel.cursor import decode, encode
from nexus.schemas.errors import ValidationError
from nexus.schemas.page import Page, PageQuery

Item = TypeVar("Item")


@dataclass(frozen=True)
class Listing(Generic[Item]):
    """How one kind of list is sorted and made.

    `sorts` maps an item's fields to what they are sorted by, which must never be null; `order` is the sort of a query
    that names none; `id` tells rows of one key apart. Raises `ValidationError` for a sort or cursor that cannot be.
    """

    sorts: Mapping[str, ColumnElement[Any]]
    order: str
    id: ColumnElement[Any]
    item: Callable[[Row[Any]], Item]

    def page(self, connection: Connection, select: Select[Any], query: PageQuery) -> Page[Item]:
        """Return the page that the query asks for, of the rows that `select` finds."""
        order = query.sort or self.order
        descending = order.startswith("-")
        key = self.sorts.get(order.removeprefix("-"))
        if key is None:
            raise ValidationError.because(
                f"{order.removeprefix('-')!r} cannot be sorted by.", field="sort", available=sorted(self.sorts)
            )
        if query.cursor is not None:
            place = tuple_(*(literal(value) for value in decode(query.cursor, order)))
            position = tuple_(key, self.id)
            select = select.where(position < place if descending else position > place)
        direction = desc if descending else asc
        select = select.add_columns(key.label("sort_key"), self.id.label("sort_id"))
        select = select.order_by(direction(key), direction(self.id)).limit(query.limit + 1)
        rows = connection.execute(select).all()
        truncated = len(rows) > query.limit
        rows = rows[: query.limit]
        cursor = encode(order, (rows[-1].sort_key, rows[-1].sort_id)) if truncated else None
        return Page.model_construct(items=[self.item(row) for row in rows], next_cursor=cursor, truncated=truncated)


def contains(columns: Sequence[ColumnElement[Any]], text: str) -> ColumnElement[bool]:
    """Return the condition that one of the columns contains the text, letters' case aside."""
    return or_(*(column.icontains(text, autoescape=True) for column in columns))
