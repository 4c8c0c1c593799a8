"""Whatever a name or a text holds, it drives no terminal and looks like no other line."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from nexus.output.render import render
from nexus.output.screen import Screen
from nexus.schemas.envelope import failure, success
from nexus.schemas.errors import NotFound

ODD = st.lists(
    st.characters(exclude_categories=())
    | st.sampled_from(
        ["\x1b[2J", "\x1b]0;x\x07", "\x9b31m", "\r", "\n", "\t", "\b", "\x7f", "\u202e", "\u2028", "\ud800"]
    ),
    max_size=12,
).map("".join)
PLAIN = Screen(is_terminal=True, columns=10_000, colour=False)


def controls(text: str) -> set[str]:
    """Return what moves a cursor or is taken for a command; the ends of lines aside."""
    return {char for char in text if char != "\n" and (not char.isprintable() or "\x7f" <= char <= "\x9f")}


@example(names=["\t0"])
@given(names=st.lists(ODD, min_size=1, max_size=5))
def test_a_table_has_a_line_for_each_row_and_no_more(names: list[str]) -> None:
    data = {"items": [{"id": f"id{number}", "name": name} for number, name in enumerate(names)]}
    for output in ("human", "table"):
        text = render(success(data, "req"), output, PLAIN).decode()
        assert controls(text) == set()
        rows = [line for line in text.splitlines() if line.startswith("id")]
        assert [row.split()[0] for row in rows] == ["id", *(item["id"] for item in data["items"])]
        assert len(text.splitlines()) == len(names) + 1


@given(text=ODD)
def test_one_thing_and_an_error_say_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = success({"id": "x", "description": text, "content": text, "tags": [text]}, "req", text)
    missing = failure(NotFound(resource="project", reference=text, available=[text]).entries(), "req")
    for envelope in (shown, missing):
        for output in ("human", "table"):
            assert controls(render(envelope, output, PLAIN).decode()) == set(), output
        # These keep the letters of all scripts as they are, and no terminal obeys those.
        for output in ("json", "yaml"):
            told = render(envelope, output, PLAIN).decode()
            assert not [char for char in told if char != "\n" and (char < " " or "\x7f" <= char <= "\x9f")], output


@given(value=st.recursive(ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3)))
def test_json_on_a_terminal_is_the_same_json(value: Any) -> None:
    told = json.loads(render(success({"value": value}, "req"), "json", PLAIN))["data"]["value"]
    assert (
        told == json.loads(render(success({"value": value}, "req"), "json", Screen(is_terminal=False)))["data"]["value"]
    )
