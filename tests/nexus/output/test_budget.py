"""An answer that is cut goes on exactly where it ended, whatever changed meanwhile."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.output.budget import BYTES_A_TOKEN, after, cut, place_of
from nexus.schemas.errors import ValidationError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


def pages(data: dict[str, Any], tokens: int) -> list[dict[str, Any]]:
    """Return what a reader is told until nothing is left."""
    told: list[dict[str, Any]] = []
    place = None
    while True:
        page = cut(after(data, place) if place else data, tokens, before=place, repeatable=True)
        told.append(page)
        if not str(page.get("nextCursor") or "").startswith("~"):
            return told
        place = place_of(page["nextCursor"])


@given(items=st.lists(VALUES, max_size=60))
def test_pages_together_are_the_whole_list(items: list[Any]) -> None:
    data = {"items": items, "nextCursor": None, "truncated": False}
    told = pages(data, 250)
    assert [item for page in told for item in page["items"]] == items
    assert all(page["truncated"] for page in told[:-1])
    assert all(len(page["items"]) >= 1 for page in told[:-1])


@given(items=st.lists(st.text(max_size=100), min_size=1, max_size=100), tokens=st.integers(250, 2000))
def test_a_page_keeps_to_its_bound(items: list[str], tokens: int) -> None:
    for page in pages({"items": items}, tokens):
        assert len(json.dumps(page, ensure_ascii=False).encode()) <= tokens * BYTES_A_TOKEN


@given(text=st.text(min_size=1, max_size=5000))
def test_pieces_of_a_text_together_are_the_text(text: str) -> None:
    assert "".join(page["content"] for page in pages({"path": "a", "content": text}, 250)) == text


def test_a_record_is_told_once_though_others_came_and_went() -> None:
    items = [f"{number:04}" + "x" * 100 for number in range(40)]
    first = cut({"items": items}, 400, repeatable=True)
    place, told = place_of(first["nextCursor"]), len(first["items"])
    for changed in (["new", *items], items[2:], [*items[: told - 3], *items[told - 1 :]]):
        rest = after({"items": changed}, place)["items"]
        assert rest == items[told:]
    with pytest.raises(ValidationError, match="begin again"):
        after({"items": items[told:]}, place)


@pytest.mark.parametrize("cursor", ["~", "~x", "~eyJ9", "~W10", "~WzEsMiwzLDRd"])
def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:
    with pytest.raises(ValidationError, match="begin again"):
        place_of(cursor)


def test_what_must_not_run_again_has_no_cursor() -> None:
    page = cut({"items": ["x" * 100] * 50}, 250, repeatable=False)
    assert (page["truncated"], page["nextCursor"]) == (True, None)


def test_what_fits_stays_as_it_is() -> None:
    data = {"items": [1, 2], "nextCursor": "own", "truncated": True}
    assert cut(data, 250, repeatable=True) is data
