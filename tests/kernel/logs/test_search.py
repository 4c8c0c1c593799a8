"""Entries of a file are found by moment, level and text, the newest first to be kept, page by page."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nexus.kernel.logs.search import search
from nexus.schemas.errors import ValidationError
from nexus.schemas.log import LogEntry, LogQuery

COUNT = 20_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A log of a second a line; each hundredth is an error with a trace of two lines."""
    file = tmp_path_factory.mktemp("logs") / "app.log"
    with file.open("w") as log:
        for number in range(COUNT):
            moment = datetime.fromtimestamp(1_790_000_000 + number, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            if number % 100 == 0:
                log.write(f"{moment} ERROR number {number} failed\n  at one\n  at two\n")
            else:
                log.write(f"{moment} INFO number {number}\n")
    return str(file)


def found(path: str, **query: object) -> list[LogEntry]:
    return search(path, LogQuery.model_validate({"file": path, **query})).items


def test_the_newest_come_the_oldest_of_them_first(path: str) -> None:
    assert [entry.message.split()[-1] for entry in found(path, limit=3)] == ["19997", "19998", "19999"]


def test_a_level_finds_what_is_as_grave_with_the_lines_that_belong_to_it(path: str) -> None:
    entries = found(path, level="warning", limit=6)
    assert [entry.message for entry in entries[:3]] == [entries[0].message, "  at one", "  at two"]
    assert {entry.level for entry in entries} == {"error"}
    assert entries[1].time == entries[0].time


def test_a_range_of_time(path: str) -> None:
    since = datetime.fromtimestamp(1_790_000_000 + 5000, UTC)
    until = datetime.fromtimestamp(1_790_000_000 + 5004, UTC)
    entries = found(path, since=since, until=until, limit=1000)
    assert [entry.message.split()[-1] for entry in entries if "number" in entry.message] == [
        "failed", "5001", "5002", "5003", "5004",
    ]  # fmt: skip
    assert len(entries) == 7


def test_a_text_in_whatever_case(path: str) -> None:
    assert [entry.message.split()[-1] for entry in found(path, text="NUMBER 777", limit=100)] == [
        "777", *(str(number) for number in range(7770, 7780)),
    ]  # fmt: skip
    assert found(path, text="nowhere to be found") == []


def test_pages_join_without_hole_or_repetition(path: str) -> None:
    pages, cursor = [], None
    while True:
        page = search(path, LogQuery(file=path, level="error", limit=77, cursor=cursor))
        pages.insert(0, page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    messages = [entry.message for page in pages for entry in page]
    assert len(messages) == COUNT // 100 * 3
    assert messages == [
        line for number in range(0, COUNT, 100) for line in (messages[number // 100 * 3], "  at one", "  at two")
    ]


def test_a_file_without_a_known_format_is_searched_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    path.write_bytes(b"one\r\ntwo \xff\nthree")
    assert [entry.message for entry in found(str(path))] == ["one", "two \ufffd", "three"]
    assert [entry.message for entry in found(str(path), text="TH")] == ["three"]
    assert found(str(path), level="info") == []


def test_an_empty_file_has_no_entries(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert found(str(path)) == []


def test_a_cursor_that_was_not_given_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        found(path, cursor="x")
