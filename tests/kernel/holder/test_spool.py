"""The spool gives back what was put into it, whole records in order, whatever ends in between."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.kernel.holder.spool import (
    HEADER_BYTES,
    Kind,
    Record,
    SpoolDamaged,
    SpoolReader,
    SpoolWriter,
    remove_spool,
    segment_path,
    segments,
)

PAYLOADS = st.lists(st.binary(max_size=300), max_size=40)


def read_all(folder: str, position: int = 0, limit: int = 4096) -> list[Record]:
    records = []
    with SpoolReader(folder, position) as reader:
        while batch := reader.read(limit):
            records += batch
    return records


@given(payloads=PAYLOADS, segment=st.integers(1, 2000), limit=st.integers(1, 600))
@settings(deadline=None, max_examples=60)
def test_what_is_appended_is_read_back_over_segments_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes], segment: int, limit: int
) -> None:
    folder = str(tmp_path_factory.mktemp("spool"))
    writer = SpoolWriter(folder, segment)
    for payload in payloads:
        writer.append(Kind.STDOUT, [payload[:7], payload[7:]])
    records = read_all(folder, limit=limit)
    assert [record.payload for record in records] == payloads
    assert all(second.start == first.end for first, second in pairwise(records))
    writer.remove()


def test_a_reader_goes_on_from_any_records_end(tmp_path: Path) -> None:
    writer = SpoolWriter(str(tmp_path), 50)
    for number in range(30):
        writer.append(Kind.STDERR, [b"%d" % number])
    everything = read_all(str(tmp_path))
    for index, record in enumerate(everything):
        assert read_all(str(tmp_path), record.end) == everything[index + 1 :]


def test_a_reader_goes_on_inside_a_payload(tmp_path: Path) -> None:
    writer = SpoolWriter(str(tmp_path), 100)
    for number in range(20):
        writer.append(Kind.STDOUT, [b"%030d" % number])
    everything = b"".join(record.payload for record in read_all(str(tmp_path)))
    for record in read_all(str(tmp_path)):
        for left in range(31):
            rest = b"".join(each.payload for each in read_all(str(tmp_path), record.end - left))
            assert everything.endswith(rest)
            assert len(rest) == left + sum(30 for each in read_all(str(tmp_path), record.end))


def test_a_reader_that_caught_up_gets_what_comes_later(tmp_path: Path) -> None:
    writer = SpoolWriter(str(tmp_path), 60)
    with SpoolReader(str(tmp_path)) as reader:
        for number in range(20):
            assert reader.read() == []
            writer.append(Kind.STDOUT, [b"%d" % number])
            assert [record.payload for record in reader.read()] == [b"%d" % number]


def test_a_record_cut_off_by_a_death_was_never_there(tmp_path: Path) -> None:
    writer = SpoolWriter(str(tmp_path))
    writer.append(Kind.STDOUT, [b"whole"])
    end = writer.end
    writer.append(Kind.STDOUT, [b"cut off"])
    writer.close()
    path = segment_path(str(tmp_path), 0)
    for size in range(end, end + HEADER_BYTES + 7):
        os.truncate(path, size)
        assert [record.payload for record in read_all(str(tmp_path))] == [b"whole"]
        again = SpoolWriter(str(tmp_path))
        assert again.end == end
        again.append(Kind.STDOUT, [b"cut off"])
        again.close()
        assert [record.payload for record in read_all(str(tmp_path))] == [b"whole", b"cut off"]


def test_a_changed_byte_is_told_and_not_passed_on(tmp_path: Path) -> None:
    writer = SpoolWriter(str(tmp_path))
    writer.append(Kind.STDOUT, [b"0123456789"])
    with open(segment_path(str(tmp_path), 0), "r+b") as file:
        file.seek(HEADER_BYTES + 3)
        file.write(b"x")
    with pytest.raises(SpoolDamaged):
        read_all(str(tmp_path))


def test_what_is_confirmed_leaves_the_disk_and_the_rest_stays(tmp_path: Path) -> None:
    writer = SpoolWriter(str(tmp_path), 100)
    for number in range(40):
        writer.append(Kind.STDOUT, [b"%030d" % number])
    records = read_all(str(tmp_path))
    half = records[20].end
    writer.confirm(half)
    assert writer.start <= half < segments(str(tmp_path))[1]
    assert read_all(str(tmp_path), half) == records[21:]
    writer.confirm(writer.end)
    assert len(segments(str(tmp_path))) == 1
    with pytest.raises(SpoolDamaged):
        read_all(str(tmp_path), 0)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_takes_a_record_whole_or_not_at_all(tmp_path: Path) -> None:
    writer = SpoolWriter(str(tmp_path))
    writer.append(Kind.STDOUT, [b"before"])
    with largest_file(100), pytest.raises(OSError, match="File too large"):
        writer.append(Kind.STDOUT, [b"x" * 500])
    writer.append(Kind.STDOUT, [b"after"])
    assert [record.payload for record in read_all(str(tmp_path))] == [b"before", b"after"]


def test_a_removed_spool_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    writer = SpoolWriter(str(folder), 10)
    writer.append(Kind.STDOUT, [b"a"])
    writer.append(Kind.STDOUT, [b"b"])
    writer.close()
    remove_spool(str(folder))
    assert not folder.exists()
