"""Numbered input: applied once and in order, however often the connection breaks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.sessions.core.input import MOST_UNACKNOWLEDGED, InAction, Inbox, Outbox


class Wire:
    """Brings a prefix of what is sent, and a prefix of the acknowledgements back."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.inbox = Inbox()
        self.outbox = Outbox("c")
        self.applied: list[bytes] = []

    def deliver(self, sent: list[tuple[int, bytes]]) -> None:
        answers = [seq for seq, content in self.prefix(sent) if self.arrive(seq, content)]
        for seq in self.prefix(answers):
            self.outbox.acknowledged(seq)

    def arrive(self, seq: int, content: bytes) -> bool:
        action = self.inbox.receive(seq)
        if action is InAction.APPLY:
            self.applied.append(content)
            self.inbox.done()
        return action is not InAction.REFUSE

    def prefix(self, items: list) -> list:
        return items[: self.data.draw(st.integers(0, len(items)))]


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=3), max_size=30), st.data())
def test_two_ends_over_a_breaking_wire_apply_each_input_once(inputs: list[bytes], data: st.DataObject) -> None:
    wire = Wire(data)
    for content in inputs:
        number, now = wire.outbox.put(content)
        if now:
            wire.deliver([(number, content)])
        if data.draw(st.booleans()):
            wire.outbox.lost()
            wire.deliver(wire.outbox.rejoined())
    for seq, content in wire.outbox.open:
        wire.arrive(seq, content)
    assert wire.applied == inputs


def test_an_input_that_jumps_ahead_is_refused() -> None:
    assert Inbox(applied=3).receive(5) is InAction.REFUSE


def test_the_one_being_applied_is_not_applied_beside_itself() -> None:
    inbox = Inbox()
    assert inbox.receive(1) is InAction.APPLY
    assert inbox.receive(1) is InAction.WAIT
    inbox.done()
    assert inbox.receive(1) is InAction.ACKNOWLEDGE


def test_an_input_that_could_not_be_applied_may_come_again() -> None:
    inbox = Inbox()
    inbox.receive(1)
    inbox.failed()
    assert inbox.receive(1) is InAction.APPLY


def test_what_is_not_acknowledged_is_bounded() -> None:
    outbox = Outbox("c")
    for _ in range(MOST_UNACKNOWLEDGED):
        outbox.put(b"")
    with pytest.raises(OverflowError):
        outbox.put(b"")


def test_what_is_put_while_offline_is_kept_and_sent_on_return() -> None:
    outbox = Outbox("c")
    outbox.lost()
    assert outbox.put(b"a") == (1, False)
    assert outbox.rejoined() == [(1, b"a")]
