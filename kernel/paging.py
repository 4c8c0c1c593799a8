"""Pages over what was just seen: nothing is kept between two pages but the place where the next begins."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from nexus.kernel.cursor import Place, decode, encode
from nexus.schemas.errors import ValidationError
from nexus.schemas.page import PageQuery

Seen = TypeVar("Seen")
Key = Callable[[Seen], str | int]


def cut(
    items: Iterable[Seen],
    query: PageQuery,
    *,
    sorts: Mapping[str, Key[Seen]],
    order: str,
    identity: Callable[[Seen], str],
) -> tuple[list[Seen], str | None]:
    """Return one page of the items and the cursor of the next, None behind the last.

    `sorts` maps fields to what they are sorted by, all text or all numbers; `order` is that of a query which names
    none. Raises `ValidationError` for an order or a cursor that cannot be.
    """
    asked = query.sort or order
    descending = asked.startswith("-")
    key = sorts.get(asked.removeprefix("-"))
    if key is None:
        raise ValidationError.because(
            f"{asked.removeprefix('-')!r} cannot be sorted by.", field="sort", available=sorted(sorts)
        )

    def place(item: Seen) -> Place:
        return key(item), identity(item)

    found = sorted(items, key=place, reverse=descending)
    if query.cursor is not None:
        found = _behind(found, decode(query.cursor, asked), place, descending=descending)
    kept = found[: query.limit]
    return kept, encode(asked, place(kept[-1])) if len(found) > len(kept) else None


def _behind(found: list[Seen], last: Place, place: Callable[[Seen], Place], *, descending: bool) -> list[Seen]:
    try:
        return [item for item in found if (place(item) < last if descending else place(item) > last)]
    except TypeError:
        raise ValidationError.because("The cursor is none of this list's.", field="cursor") from None
