"""Rows of any table: found by id, told apart by name, counted, changed."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Connection, FromClause, Row, Table, func, select

from nexus.kernel.store.paging import equal
from nexus.kernel.store.prepared import Prepared
from nexus.kernel.store.rows import name_key
from nexus.schemas.errors import Conflict, NotFound, ValidationError


def find(connection: Connection, table: Table, row_id: str, *, namespace: str = "agent") -> Row[Any]:
    """Return the row with the id. Raises `NotFound`; its hint names the list of the commands' `namespace`."""
    rows = _by_id(table).rows(connection, {"id": row_id})
    if not rows:
        raise not_found(table, row_id, namespace=namespace)
    return rows[0]


@cache
def _by_id(table: Table) -> Prepared:
    return Prepared(equal(table, "id"))


def not_found(table: Table, row_id: str, *, namespace: str = "agent") -> NotFound:
    """Return the error of a row that there is not."""
    kind = kind_of(table)
    return NotFound(resource=kind, reference=row_id, hint=f"nexus {namespace} {kind} list")


def refuse_taken(
    connection: Connection, table: Table, name: str, *, but: str | None = None, namespace: str = "agent"
) -> None:
    """Raise `Conflict` when a row other than `but` has the name, letters' case aside."""
    row = connection.execute(select(table.c.id, table.c.name).where(table.c.name_key == name_key(name))).one_or_none()
    if row is not None and row.id != but:
        kind = kind_of(table)
        raise Conflict.because(
            f"There is already a {kind} {row.name!r}.", field="name", id=row.id, hint=f"nexus {namespace} {kind} list"
        )


def count(connection: Connection, rows: FromClause, where: ColumnElement[bool]) -> int:
    """Count the rows for which the condition holds."""
    return int(connection.execute(select(func.count()).select_from(rows).where(where)).scalar_one())


def values_of(row: Row[Any]) -> dict[str, Any]:
    """Return a row's values by column, as a model is made of them."""
    return dict(row._mapping)  # noqa: SLF001 -- the public name that SQLAlchemy gives it


def changed_values(changes: BaseModel, never_null: Sequence[str]) -> dict[str, Any]:
    """Return the fields that were given. Raises `ValidationError` for a null where there is always a value."""
    values = changes.model_dump(exclude_unset=True, by_alias=False)
    for name in never_null:
        if name in values and values[name] is None:
            raise ValidationError.because(f"{name} cannot be null: leave it out to keep it.", field=name)
    return values


def kind_of(table: Table) -> str:
    """Return what the commands call a row of the table: `project` for `projects`."""
    return table.name.removesuffix("s")
