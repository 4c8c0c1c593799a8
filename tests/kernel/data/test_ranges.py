"""Ranges and parts: whatever is asked for, the bytes are those that are meant, and together they are all."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.kernel.data.local import MOST_PARTS, PART_BYTES, LocalBlobs
from nexus.kernel.data.ranges import Parts, Unsatisfiable, span_of
from nexus.schemas.data import MOST_BYTES

CONTENT = bytes(range(200))
SIZES = st.integers(0, 5000)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 200))
def test_a_range_is_what_a_slice_is(first: int, last: int, size: int) -> None:
    content = CONTENT[:size]
    try:
        span = span_of(f"bytes={first}-{last}", size)
    except Unsatisfiable:
        assert first >= size
        return
    if last < first:
        assert span is None
    else:
        assert span is not None
        assert content[span.first : span.end] == content[first : last + 1] != b""


@given(st.integers(0, 300), st.integers(0, 200))
def test_a_range_without_an_end_goes_to_the_end_and_one_without_a_beginning_is_the_tail(n: int, size: int) -> None:
    content = CONTENT[:size]
    for header, wanted in ((f"bytes={n}-", content[n:]), (f"bytes=-{n}", content[-n:] if n else b"")):
        try:
            span = span_of(header, size)
        except Unsatisfiable:
            assert wanted == b""
        else:
            assert span is not None
            assert content[span.first : span.end] == wanted


@given(st.text(max_size=30))
def test_no_header_breaks_it(header: str) -> None:
    try:
        span = span_of(header, 100)
    except Unsatisfiable:
        return
    assert span is None or 0 <= span.first < span.end <= 100


@pytest.mark.parametrize("header", [None, "", "bytes=-", "items=0-1", "bytes=0-1,3-4", "bytes=5-1", "bytes=a-b"])
def test_what_cannot_be_read_is_all_of_it(header: str | None) -> None:
    assert span_of(header, 100) is None


@given(SIZES, st.integers(1, 700))
def test_parts_are_the_whole_in_order_and_none_is_larger_than_said(size: int, part_size: int) -> None:
    parts = Parts(size, part_size)
    spans = [parts.span(number) for number in range(1, parts.count + 1)]
    assert spans[0].first == 0
    assert spans[-1].end == size
    assert all(before.end == after.first for before, after in pairwise(spans))
    assert all(span.size == part_size for span in spans[:-1])
    assert 0 <= spans[-1].size <= part_size
    for wrong in (0, parts.count + 1):
        with pytest.raises(IndexError):
            parts.span(wrong)


@given(st.sets(st.integers(1, 20)))
def test_the_first_part_that_is_not_there_is_found(there: set[int]) -> None:
    missing = Parts(1, 1).contiguous(there)
    assert missing not in there
    assert all(number in there for number in range(1, missing))


@given(st.integers(0, MOST_BYTES))
def test_no_file_has_more_parts_than_a_service_takes(size: int) -> None:
    part_size = LocalBlobs.part_size(None, size)  # type: ignore[arg-type]
    assert part_size >= PART_BYTES
    assert Parts(size, part_size).count <= MOST_PARTS
