"""What programs print becomes lines in the log, once each, and no line shows a secret or a part of one."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nexus.kernel.holder.spool import Kind, Record
from nexus.kernel.logs.buffer import MOST_LINE_BYTES
from nexus.kernel.logs.channels import Channels
from nexus.kernel.secrets.masking import Masker

VALUE = 'correct "horse" battéry'
HEADER = 9
"""What stands before each record in a spool."""


def records(data: bytes, edges: list[int]) -> list[Record]:
    pieces = [data[begin:end] for begin, end in pairwise([0, *edges, len(data)])]
    found, end = [], 0
    for piece in pieces:
        end += HEADER + len(piece)
        found.append(Record(Kind.STDOUT, 0, piece, end))
    return found


def messages(payloads: list[str]) -> list[str]:
    return [json.loads(payload)["message"] for payload in payloads]


def masked(masker: Masker) -> Channels:
    channels = Channels("log")
    channels.mask(masker)
    return channels


@given(
    before=st.integers(MOST_LINE_BYTES - 40, MOST_LINE_BYTES + 4),
    after=st.integers(0, MOST_LINE_BYTES + 40),
    cuts=st.lists(st.integers(-30, 60), max_size=4),
    ends=st.booleans(),
)
def test_a_line_is_cut_in_no_secret_however_it_comes(before: int, after: int, cuts: list[int], ends: bool) -> None:
    data = b"a" * before + VALUE.encode() + b"b" * after + (b"\n" if ends else b"")
    channels = masked(Masker([VALUE]))
    told = [messages(channels.payloads([each])) for each in records(data, sorted(before + cut for cut in cuts))]
    shown = "".join([*(line for lines in told for line in lines), *messages(channels.rest())])
    assert shown == "a" * before + "***" + "b" * after


@given(
    sizes=st.lists(st.sampled_from([1, 7, 300, MOST_LINE_BYTES, MOST_LINE_BYTES + 1]), max_size=8),
    edges=st.lists(st.integers(0, 300_000), max_size=6),
    stop=st.integers(0, 6),
)
def test_another_kernel_goes_on_where_the_log_ends(sizes: list[int], edges: list[int], stop: int) -> None:
    data = b"".join((b"%d:" % number) + b"x" * size + VALUE.encode() + b"\n" for number, size in enumerate(sizes))
    spool = records(data, sorted(min(edge, len(data)) for edge in edges))
    first, second = masked(Masker([VALUE])), masked(Masker([VALUE]))
    told = [line for each in spool[:stop] for line in messages(first.payloads([each]))]
    marks = dict(first.marks(spool[min(stop, len(spool)) - 1].end if stop else 0))
    second.go_on(marks)
    start = min(marks.values())
    told += [line for each in spool if each.end > start for line in messages(second.payloads([each]))]
    told += messages(second.rest())
    whole = "".join(f"{number}:" + "x" * size + "***" for number, size in enumerate(sizes))
    assert "".join(told) == whole


def test_a_secret_is_masked_as_it_stands_in_json_too() -> None:
    channels = masked(Masker([VALUE, "one\ntwo2"]))
    told = {"key": VALUE, "of": "one\ntwo2"}
    data = "".join(f"{json.dumps(told, ensure_ascii=each)}\n" for each in (True, False))
    assert messages(channels.payloads(records(data.encode(), []))) == ['{"key": "***", "of": "***"}'] * 2


def test_no_character_is_cut_where_a_line_is() -> None:
    channels = Channels("log")
    data = "é€😀".encode() * 40_000
    told = [
        line
        for each in records(data, list(range(0, len(data), 7001))[1:])
        for line in messages(channels.payloads([each]))
    ]
    assert "".join([*told, *messages(channels.rest())]) == "é€😀" * 40_000
