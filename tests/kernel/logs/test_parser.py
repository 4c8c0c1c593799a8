"""Levels and moments are read as programs write them, and no line makes that slow."""

import json
import time
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.kernel.logs.parser import LogParser, encoded_lines, log_payloads

NOON = "2026-11-20T12:00:00"
LINES = [
    ("2026-11-20T12:00:00.123Z INFO worker: hello", "info", f"{NOON}.123000Z"),
    ("2026-11-20T12:00:00.123456789+02:00 error something", "error", "2026-11-20T10:00:00.123456Z"),
    ("2026-11-20 12:00:00,123Z - some.name - WARNING - careful", "warning", f"{NOON}.123000Z"),
    ("2026-11-20 12:00:00.123Z  INFO 1234 --- [           main] c.e.C : started", "info", f"{NOON}.123000Z"),
    ("[2026-11-20 12:00:00,123Z] {file.py:12} ERROR - failed", "error", f"{NOON}.123000Z"),
    ("2026-11-20 12:00:00Z [main] com.x.Y FATAL boom", "critical", f"{NOON}.000000Z"),
    ("2026-11-20 12:00:00 UTC [123] LOG:  checkpoint starting", "info", f"{NOON}.000000Z"),
    ("2026-11-20 12:00:00Z user error occurred somewhere", None, f"{NOON}.000000Z"),
    ("2026/11/20 12:00:00Z [error] 12#12: *1 open() failed", "error", f"{NOON}.000000Z"),
    ('time="2026-11-20T12:00:00Z" level=warning msg="x y"', "warning", f"{NOON}.000000Z"),
    ("level=debug ts=2026-11-20T12:00:00.5Z caller=x.go:1", "debug", f"{NOON}.500000Z"),
    ("<34>1 2026-11-20T12:00:00.003Z host su - ID47 - failed", "critical", f"{NOON}.003000Z"),
    ('127.0.0.1 - - [20/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 503 12 "-" "curl"', "error", f"{NOON}.000000Z"),
    ('127.0.0.1 - ann [20/Nov/2026:13:00:00 +0100] "GET / HTTP/1.1" 404 12', "warning", f"{NOON}.000000Z"),
    ('{"level":"warn","time":"2026-11-20T12:00:00Z","msg":"x"}', "warning", f"{NOON}.000000Z"),
    ('{"level":50,"time":1795176000000,"msg":"x"}', "error", f"{NOON}.000000Z"),
    ('{"@timestamp":"2026-11-20T13:00:00+01:00","log.level":"ERROR"}', "error", f"{NOON}.000000Z"),
    ('{"severity":"NOTICE","ts":1795176000.25}', "info", f"{NOON}.250000Z"),
    ("12:00:00.123 [main] DEBUG a.b - hi", "debug", None),
    ("ERROR: bad thing", "error", None),
    ("[WARN] careful", "warning", None),
    ("WARNING:root:msg", "warning", None),
    ("error: could not compile", "error", None),
    ("INFO worker started", "info", None),
    ("2026-13-40 25:61:61 INFO no such moment", "info", None),
    ("plain text", None, None),
    ("Information about things", None, None),
    ("    at com.foo.Bar(Bar.java:12)", None, None),
    ("{broken json", None, None),
    ("", None, None),
]


@pytest.mark.parametrize(("line", "level", "moment"), LINES, ids=[line[:40] for line, _, _ in LINES])
def test_a_line_tells_its_level_and_moment(line: str, level: str | None, moment: str | None) -> None:
    assert LogParser().facts(line + "\n") == [(level, moment)]


@pytest.mark.parametrize(
    ("form", "level"),
    [
        ("{month} {day:2} {clock} host app[1]: ERROR bad", "error"),
        ("<165>{month} {day:2} {clock} host app[1]: message", "info"),
        ("E{number:02}{day:02} {clock}.250000   1234 file.go:12] message", "error"),
        ("2{rest} {clock} INFO message", "info"),
    ],
)
def test_a_moment_without_zone_or_year_is_of_this_machine_and_not_ahead(form: str, level: str) -> None:
    moment = (datetime.now() - timedelta(days=3)).replace(microsecond=0)  # noqa: DTZ005 -- as such logs are
    line = form.format(
        month=moment.strftime("%b"),
        day=moment.day,
        number=moment.month,
        clock=moment.strftime("%H:%M:%S"),
        rest=moment.strftime("%Y-%m-%d")[1:],
    )
    [(found, told)] = LogParser().facts(line + "\n")
    assert found == level
    assert told is not None
    assert datetime.fromisoformat(told).replace(microsecond=0) == moment.astimezone()


def test_mixed_lines_are_told_apart_whatever_came_before() -> None:
    parser = LogParser()
    text = "".join(f"{line}\n" for line, _, _ in LINES)
    for _ in range(3):
        assert parser.facts(text) == [(level, moment) for _, level, moment in LINES]


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)), max_size=30), min_size=1))
def test_every_line_becomes_one_valid_payload_with_the_line_in_it(given_lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in given_lines)
    payloads = [json.loads(payload) for payload in log_payloads(LogParser().facts(text), text, 'a"b')]
    assert [payload["message"] for payload in payloads] == given_lines
    assert all(payload["type"] == "log" and payload["source"] == 'a"b' for payload in payloads)


def test_the_separator_itself_may_be_in_a_line() -> None:
    assert [json.loads(f'"{line}"') for line in encoded_lines("a\x7fb\nc\n")] == ["a\x7fb", "c"]


@pytest.mark.parametrize(
    "piece",
    [
        "a ",
        "a=b ",
        "<1>",
        "[",
        "[ ",
        "- ",
        "(",
        "()",
        '"',
        "[x] ",
        " -",
        "1",
        "12:00:00 ",
        "2026-11-20 12:00:00 ",
        "{",
        "=a",
        "\t|",
    ],
)
def test_no_line_is_slow_to_read(piece: str) -> None:
    long = piece * (60_000 // len(piece))
    starts = ("", "2026-11-20 12:00:00 ", "ts=", '1.1.1.1 - - [20/Nov/2026:12:00:00 +0000] "', "Nov 20 12:00:00 ")
    before = time.process_time()
    for start in starts:
        LogParser().facts(f"{start}{long}\n")
    assert time.process_time() - before < 0.5
