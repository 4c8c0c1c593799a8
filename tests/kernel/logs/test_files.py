"""Files are read in whole lines, from where it was asked, over rotation and truncation."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.kernel.logs.buffer import MOST_LINE_BYTES, LineBuffer
from nexus.kernel.logs.files import LogFile, opened, tail_offset
from nexus.schemas.errors import NotFound, ValidationError


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(1, 30), min_size=1))
def test_pieces_become_the_same_lines_wherever_they_are_cut(data: bytes, cuts: list[int]) -> None:
    buffer = LineBuffer()
    text, rest, turn = "", data, 0
    while rest:
        size = cuts[turn % len(cuts)]
        text += buffer.feed(rest[:size])
        rest = rest[size:]
        turn += 1
    assert buffer.pending == len(data) - data.rfind(b"\n") - 1
    text += buffer.flush()
    whole = data if data.endswith(b"\n") or not data else data + b"\n"
    assert text == whole.decode("utf-8", "replace")


@pytest.mark.parametrize("step", [1000, 64 * 1024, 10_000_000])
def test_a_huge_line_becomes_several_and_loses_nothing(step: int) -> None:
    data = ("é" * 300_000).encode() + b"\nshort\n"
    buffer = LineBuffer()
    text = "".join(buffer.feed(data[start : start + step]) for start in range(0, len(data), step)) + buffer.flush()
    lines = text.split("\n")
    assert "".join(lines) == "é" * 300_000 + "short"
    assert all(len(line.encode()) <= MOST_LINE_BYTES + step for line in lines)
    assert "\ufffd" not in text


@pytest.mark.parametrize(
    ("count", "found"), [(0, b""), (1, b"3\n"), (2, b"2\n3\n"), (3, b"1\n2\n3\n"), (9, b"1\n2\n3\n")]
)
def test_the_last_lines_of_a_file(tmp_path: Path, count: int, found: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1\n2\n3\n")
    file = opened(str(path))
    assert b"1\n2\n3\n"[tail_offset(file, count) :] == found
    path.write_bytes(b"1\n2\n3")
    assert b"1\n2\n3"[tail_offset(file, count) :] == found.removesuffix(b"\n")
    os.close(file)


def test_the_last_lines_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [b"line %d\n" % number for number in range(200_000)]
    path.write_bytes(b"".join(lines))
    file = opened(str(path))
    assert tail_offset(file, 100_000) == sum(map(len, lines[:100_000]))
    os.close(file)


def read(file: LogFile) -> bytes:
    data = b""
    while piece := file.read():
        data += piece.data
    return data


def test_what_is_written_before_a_rotation_and_after_it_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old\n")
    file = LogFile(str(path), lines=10)
    assert file.open()
    assert read(file) == b"old\n"
    with path.open("ab") as writer:
        writer.write(b"before\n")
        path.rename(tmp_path / "log.1")
        writer.write(b"still the old one\n")
        writer.flush()
        path.write_bytes(b"new\n")
        assert read(file) == b"before\nstill the old one\nnew\n"
    with path.open("ab") as writer:
        writer.write(b"more\n")
    assert read(file) == b"more\n"
    file.close()


def test_a_file_that_is_cut_short_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a long line\n")
    file = LogFile(str(path), lines=10)
    assert file.open()
    assert read(file) == b"a long line\n"
    os.truncate(path, 0)
    with path.open("ab") as writer:
        writer.write(b"new\n")
    piece = file.read()
    assert piece is not None
    assert (piece.data, piece.anew) == (b"new\n", True)
    file.close()


def test_a_file_that_comes_late_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(str(path), lines=0)
    assert not file.open()
    assert file.read() is None
    path.write_bytes(b"first\n")
    assert read(file) == b"first\n"
    path.unlink()
    assert file.read() is None
    path.write_bytes(b"another\n")
    assert read(file) == b"another\n"
    file.close()


def test_what_is_no_log_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "."):
        with pytest.raises(ValidationError):
            opened(str(tmp_path / name))
    with pytest.raises(NotFound):
        opened(str(tmp_path / "nothing"))
