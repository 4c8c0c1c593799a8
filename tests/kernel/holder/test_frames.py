"""Frames survive being cut anywhere, and what is none is refused before it fills the memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.kernel.holder.frames import MOST_BODY, FrameInvalid, FrameReader, encode


@given(bodies=st.lists(st.binary(max_size=50), max_size=5), cuts=st.lists(st.integers(1, 40), min_size=1, max_size=200))
def test_frames_come_out_as_they_went_in_wherever_they_are_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(encode({"n": number}, body) for number, body in enumerate(bodies))
    reader = FrameReader()
    frames = []
    index = 0
    while stream:
        cut = cuts[index % len(cuts)]
        frames += reader.feed(stream[:cut])
        stream = stream[cut:]
        index += 1
    assert frames == [({"n": number}, body) for number, body in enumerate(bodies)]


def test_bytes_that_are_no_utf_8_pass_through_a_head() -> None:
    argument = b"caf\xe9".decode("utf-8", "surrogateescape")
    [(head, _)] = FrameReader().feed(encode({"argv": [argument]}))
    assert head["argv"][0].encode("utf-8", "surrogateescape") == b"caf\xe9"


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff\0\0\0\0", b"\2\0\0\0\0\0\0\0[]", b"\1\0\0\0\0\0\0\0{"])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(FrameInvalid):
        FrameReader().feed(data)


def test_a_body_that_no_reader_would_take_is_not_sent() -> None:
    with pytest.raises(FrameInvalid):
        encode({}, b"x" * (MOST_BODY + 1))
