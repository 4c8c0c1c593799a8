"""Frames survive any cutting, and nothing else is taken for one."""

import _socket
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.launcher import frames
from nexus.launcher.exchange import Unavailable, connect_patiently
from nexus.launcher.frames import FrameInvalid, FrameReader, frame

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=8)


@settings(deadline=None)
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


@settings(deadline=None)
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


@pytest.fixture
def crowded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A socket that takes one connection at a time, and has it."""
    monkeypatch.chdir(tmp_path)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("s")
    listening.listen(0)
    first = socket.socket(socket.AF_UNIX)
    first.connect("s")
    return listening


def test_a_full_backlog_is_waited_for(crowded: socket.socket) -> None:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(5)
    with pytest.raises(BlockingIOError):
        connection.connect(b"s")
    threading.Timer(0.2, crowded.accept).start()
    connect_patiently(connection, b"s", 10)


def test_a_full_backlog_is_not_waited_for_ever(crowded: socket.socket) -> None:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(5)
    with pytest.raises(Unavailable):
        connect_patiently(connection, b"s", 0.1)
