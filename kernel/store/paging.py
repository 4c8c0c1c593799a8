"""Pages of a list: by the sort key and the id, so that rows that come and go move nothing across a page's edge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Integer, Row, Select, Table, asc, bindparam, desc, or_, tuple_
from sqlalchemy import select as select_of

from nexus.kernel.cursor import Place, decode, encode
from nexus.kernel.store.folding import contains_folded
from nexus.kernel.store.prepared import Prepared
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
    _arranged: dict[tuple[Select[Any], str, bool], Prepared] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def page(
        self, connection: Connection, select: Select[Any], query: PageQuery, given: Mapping[str, Any] | None = None
    ) -> Page[Item]:
        """Return the page that the query asks for, of the rows that `select` finds.

        A select that is made once, and takes what is `given` as parameters, is arranged once too: to make a statement
        costs several times what it takes to run it.
        """
        order = query.sort or self.order
        arranged = (select, order, query.cursor is not None)
        statement = self._arranged.get(arranged) if given is not None else None
        if statement is None:
            statement = Prepared(self._arrange(*arranged), again=given is not None)
            if given is not None:
                self._arranged[arranged] = statement
        values = {**(given or {}), "page_size": query.limit + 1}
        if query.cursor is not None:
            values["page_key"], values["page_id"] = self._place(query.cursor, order)
        rows = statement.rows(connection, values)
        truncated = len(rows) > query.limit
        rows = rows[: query.limit]
        cursor = encode(order, (rows[-1].sort_key, rows[-1].sort_id)) if truncated else None
        return Page.model_construct(items=[self.item(row) for row in rows], next_cursor=cursor, truncated=truncated)

    def _place(self, cursor: str, order: str) -> Place:
        place = decode(cursor, order)
        # One that somebody made up may hold another type than the list is sorted by, which not every database compares.
        kinds = (self.sorts[order.removeprefix("-")].type.python_type, self.id.type.python_type)
        if tuple(map(type, place)) != kinds:
            raise ValidationError.because("The cursor is none of this list's.", field="cursor")
        return place

    def _arrange(self, select: Select[Any], order: str, goes_on: bool) -> Select[Any]:
        descending = order.startswith("-")
        key = self.sorts.get(order.removeprefix("-"))
        if key is None:
            raise ValidationError.because(
                f"{order.removeprefix('-')!r} cannot be sorted by.", field="sort", available=sorted(self.sorts)
            )
        if goes_on:
            place = tuple_(bindparam("page_key"), bindparam("page_id"))
            position = tuple_(key, self.id)
            select = select.where(position < place if descending else position > place)
        direction = desc if descending else asc
        select = select.add_columns(key.label("sort_key"), self.id.label("sort_id"))
        return select.order_by(direction(key), direction(self.id)).limit(bindparam("page_size", type_=Integer))


def matching(
    table: Table, given: Mapping[str, Any], text: str | None, searched: Sequence[ColumnElement[Any]]
) -> tuple[Select[Any], Mapping[str, Any] | None]:
    """Return what selects a table's rows, and its parameters, for a page of them.

    Columns that are `given` a value equal it, None asks for any; with a `text` one of the `searched` contains it.
    """
    values = {name: value for name, value in given.items() if value is not None}
    select = equal(table, *values)
    return (select.where(contains(searched, text)).params(values), None) if text else (select, values)


@cache
def equal(table: Table, *columns: str) -> Select[Any]:
    """Return the select, made once, of the rows whose columns equal the parameters of the same names."""
    return select_of(table).where(*(table.c[name] == bindparam(name) for name in columns))


def contains(columns: Sequence[ColumnElement[Any]], text: str) -> ColumnElement[bool]:
    """Return the condition that one of the columns contains the text, letters' case aside."""
    return or_(*(contains_folded(column, text) for column in columns))
