"""Frames survive any cutting, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.launcher import frames
from nexus.launcher.frames import FrameInvalid, FrameReader, frame

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=8)


@given(FRAMES, st.data())
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(
    sent: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    line = b"".join(frame(kind, payload) for kind, payload in sent)
    reader, got = FrameReader(), []
    while line:
        size = data.draw(st.integers(1, len(line)))
        got += reader.feed(line[:size])
        line = line[size:]
    assert got == sent
    assert reader.rest == b""


@given(FRAMES, st.integers(1, 4))
def test_what_is_cut_off_is_never_given_out(sent: list[tuple[int, bytes]], missing: int) -> None:
    line = b"".join(frame(kind, payload) for kind, payload in [*sent, (frames.STDOUT, b"the last")])
    assert FrameReader().feed(line[:-missing]) == sent


def test_a_frame_that_is_too_long_is_refused_before_it_is_read() -> None:
    head = bytes([frames.STDOUT]) + (frames.LARGEST + 1).to_bytes(4, "big")
    with pytest.raises(FrameInvalid):
        FrameReader().feed(head)


def test_a_hello_begins_as_no_http_request_does() -> None:
    assert frame(frames.HELLO, b"x")[0] == 0
