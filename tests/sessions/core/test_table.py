"""The machines' tables: illegal moves have one message, and the docs are drawn from the same tables."""

from enum import Enum
from pathlib import Path

import pytest

from nexus.sessions.core.input import INBOX, OUTBOX
from nexus.sessions.core.reader import READER, Input, State
from nexus.sessions.core.table import IllegalMove, Table, drawn

DOCS = Path(__file__).parents[3] / "docs" / "session-states.md"


def test_an_illegal_move_says_where_the_machine_is_and_what_it_cannot_take() -> None:
    with pytest.raises(IllegalMove, match="the reader is detached and cannot take 'next'"):
        READER.move(State.DETACHED, Input.NEXT)


@pytest.mark.parametrize("table", [READER, OUTBOX, INBOX], ids=lambda table: table.name)
def test_every_state_of_a_table_is_reached(table: Table[Enum, Enum, Enum]) -> None:
    first = next(iter(table.moves))
    seen, ahead = {first}, [first]
    while ahead:
        reached = {target for target, _ in table.moves[ahead.pop()].values()} - seen
        seen |= reached
        ahead.extend(reached)
    assert seen == set(type(first))


@pytest.mark.parametrize("table", [READER, OUTBOX, INBOX], ids=lambda table: table.name)
def test_the_docs_show_the_table(table: Table[Enum, Enum, Enum]) -> None:
    assert drawn(table) in DOCS.read_text()
