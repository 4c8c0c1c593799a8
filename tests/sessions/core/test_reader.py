"""Whatever the wire does to batches, the reader's lines are the log's: none lost, none twice, in order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.sessions.core.position import Batch
from nexus.sessions.core.reader import Reader, State

EPOCH = 3


def log_of(count: int) -> list[bytes]:
    return [b'{"seq":%d}\n' % seq for seq in range(1, count + 1)]


def batch(log: list[bytes], first: int, last: int) -> Batch:
    return Batch(EPOCH, first, last, b"".join(log[first - 1 : last]), end=last == len(log))


def joined(last: int | None = None, epoch: int | None = None) -> Reader:
    reader = Reader("s", epoch=epoch, last=last)
    reader.attach()
    assert reader.attached(EPOCH, last or 0, 0)
    return reader


class Wire:
    """A connection that cuts the log where it likes, repeats, swaps, loses and breaks, as it is told."""

    def __init__(self, log: list[bytes], draw: st.DrawFn) -> None:
        self.log = log
        self.draw = draw

    def serve(self, reader: Reader) -> bytes:
        """Serve one attachment with faults; return what the reader printed of it."""
        reader.attach()
        reader.attached(EPOCH, reader.last or 0, len(self.log))
        batches = self._mangled(self._cut(reader.last or 0))
        printed = []
        for each in batches:
            printed.append(reader.receive(each))
            if reader.state is State.DETACHED:
                return b"".join(printed)
        if not reader.over:
            reader.lost()
        return b"".join(printed)

    def _cut(self, after: int) -> list[Batch]:
        first, batches = max(1, after + 1 - self.draw(st.integers(0, 3))), []
        while first <= len(self.log):
            last = min(len(self.log), first + self.draw(st.integers(0, 5)))
            batches.append(batch(self.log, first, last))
            first = max(first + 1, last + 1 - self.draw(st.integers(0, 2)))
        return batches

    def _mangled(self, batches: list[Batch]) -> list[Batch]:
        picks = self.draw(st.lists(st.integers(0, max(0, len(batches) - 1)), max_size=12))
        way = self.draw(st.sampled_from(["whole", "cut", "picked"]))
        if way == "picked" and batches:
            return [batches[index] for index in picks]
        return batches if way == "whole" else batches[: len(picks)]


@settings(max_examples=300)
@given(st.data(), st.integers(1, 30))
def test_any_mixture_of_cuts_repeats_and_breaks_gives_the_log(data: st.DataObject, count: int) -> None:
    log = log_of(count)
    reader, printed = Reader("s"), []
    wire = Wire(log, data.draw)  # type: ignore[arg-type]  # DataObject.draw has DrawFn's shape
    for _ in range(20):
        printed.append(wire.serve(reader))
        assert b"".join(printed) == b"".join(log[: reader.last or 0])
        if reader.over:
            break
    else:
        reader.attach()
        reader.attached(EPOCH, reader.last or 0, count)
        printed.append(reader.receive(batch(log, (reader.last or 0) + 1, count)))
    assert reader.state is State.ENDED
    assert b"".join(printed) == b"".join(log)


@given(st.integers(1, 20), st.integers(0, 25), st.integers(1, 20))
def test_a_batch_that_overlaps_is_cut_at_the_line(first: int, last_seen: int, length: int) -> None:
    log = log_of(60)
    reader = joined(last_seen, EPOCH)
    got = reader.receive(batch(log, first, first + length - 1))
    if first > last_seen + 1:
        assert (got, reader.must_resume) == (b"", True)
    else:
        assert got == b"".join(log[last_seen : first + length - 1])


def test_the_end_comes_once() -> None:
    log = log_of(3)
    reader = joined()
    assert reader.receive(batch(log, 1, 3)) == b"".join(log)
    assert reader.state is State.ENDED
    assert reader.receive(batch(log, 2, 3)) == b""
    reader.lost()
    assert reader.state is State.ENDED


def test_another_epoch_is_a_gap_and_never_a_silent_jump() -> None:
    reader = Reader("s", epoch=EPOCH, last=7)
    reader.attach()
    assert not reader.attached(EPOCH + 1, 7, 9)
    assert reader.state is State.FAILED


def test_an_answer_from_another_place_is_a_gap() -> None:
    reader = Reader("s", epoch=EPOCH, last=7)
    reader.attach()
    assert not reader.attached(EPOCH, 9, 9)


def test_a_heartbeat_tells_how_far_behind_one_is_and_a_second_one_asks_again() -> None:
    reader = joined()
    reader.heartbeat(5)
    assert (reader.behind, reader.must_resume) == (5, False)
    reader.heartbeat(5)
    assert reader.must_resume


def test_a_batch_between_two_heartbeats_is_progress() -> None:
    log = log_of(9)
    reader = joined()
    reader.heartbeat(8)
    reader.receive(batch(log, 1, 2))
    reader.heartbeat(8)
    assert not reader.must_resume


@pytest.mark.parametrize("lines", [b"", b"a", b"a\n", b"a\nb", b"a\nb\nc\n"])
def test_a_batch_whose_lines_are_not_what_its_numbers_say_is_refused(lines: bytes) -> None:
    with pytest.raises(ValueError, match="whole lines"):
        Batch(1, 4, 5, lines).check()


@given(st.integers(1, 20), st.integers(0, 25))
def test_a_batch_falls_into_two_halves_at_any_line(count: int, at: int) -> None:
    whole = batch(log_of(count), 1, count)
    if at < count:
        assert whole.until(at).lines + whole.after(at).lines == whole.lines
        assert not at or not whole.until(at).end
