"""Lists: the arguments that every one takes, and pages over what is already in memory."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from nexus.schemas.command import Arguments
from nexus.schemas.errors import ValidationError
from nexus.schemas.page import Page, PageQuery

Item = TypeVar("Item", bound=BaseModel)


class ListArguments(Arguments, PageQuery):
    """What every list takes: filter, limit, cursor and sort."""

    filter: str | None = Field(
        default=None,
        max_length=1000,
        description="Keep only items that contain this text, in whatever case.",
        json_schema_extra={"short": "f"},
    )


def query_of(arguments: BaseModel, **more: Any) -> dict[str, Any]:
    """Return what was asked for as the API's query: camelCase names, nothing that was left out."""
    return {**arguments.model_dump(mode="json", by_alias=True, exclude_none=True), **more}


def page_of(
    page: type[Page[Item]],
    items: Iterable[Item],
    query: PageQuery,
    *,
    identity: Callable[[Item], str],
    sortable: Mapping[str, Callable[[Item], str]],
) -> Page[Item]:
    """Cut one page from items in memory, sorted by `query.sort`, or by their identity.

    The cursor names the last item of the page before, so that what is added or removed in between moves nothing.
    Raises `ValidationError` for a cursor that is none of ours and for a field that cannot be sorted by.
    """
    descending = (query.sort or "").startswith("-")
    field = (query.sort or "").removeprefix("-")
    if field and field not in sortable:
        raise ValidationError.because(
            f"The list cannot be sorted by {field!r}.",
            field="sort",
            expected=sorted(sortable),
            hint=f"Sort by one of {', '.join(sorted(sortable))}.",
        )

    def place(item: Item) -> tuple[str, str]:
        return (sortable[field](item) if field else "", identity(item))

    found = sorted((item for item in items if _contains(item, query.filter)), key=place, reverse=descending)
    if query.cursor is not None:
        last = _read_cursor(query.cursor, query.sort)
        found = [item for item in found if (place(item) < last if descending else place(item) > last)]
    kept = found[: query.limit]
    truncated = len(found) > len(kept)
    return page(
        items=kept,
        truncated=truncated,
        next_cursor=_write_cursor(place(kept[-1]), query.sort) if truncated else None,
    )


def _contains(item: BaseModel, text: str | None) -> bool:
    return text is None or text.casefold() in item.model_dump_json().casefold()


def _write_cursor(place: tuple[str, str], sort: str | None) -> str:
    return base64.urlsafe_b64encode(json.dumps([sort, *place]).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, sort: str | None) -> tuple[str, str]:
    refused = ValidationError.because(
        "The cursor does not belong to this list.",
        field="cursor",
        hint="Take the nextCursor of an earlier page, with the same --sort.",
    )
    try:
        written_for, value, identity = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError):
        raise refused from None
    if written_for != sort or not isinstance(value, str) or not isinstance(identity, str):
        raise refused
    return value, identity
