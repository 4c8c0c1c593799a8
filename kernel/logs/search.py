"""Entries of a log file by moment, level and text: the newest that fit, found from the file's end backwards."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from nexus.kernel.logs.buffer import MOST_LINE_BYTES
from nexus.kernel.logs.files import CHUNK, opened
from nexus.kernel.logs.parser import NOTHING, Facts, LogParser
from nexus.schemas.errors import ValidationError
from nexus.schemas.log import LEVEL_RANK, LogEntry, LogQuery
from nexus.schemas.model import rfc3339
from nexus.schemas.page import Page


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an entry must have. Moments are RFC 3339 in UTC with microseconds, so they compare as texts."""

    since: str | None
    until: str | None
    level: int
    text: str

    @classmethod
    def of(cls, query: LogQuery) -> Self:
        level = LEVEL_RANK[query.level] if query.level else -1
        return cls(_written(query.since), _written(query.until), level, (query.text or "").casefold())

    def has(self, facts: Facts, line: str) -> bool:
        """Whether an entry with these facts and this line is wanted."""
        level, moment = facts
        if self.level >= 0 and (level is None or LEVEL_RANK[level] < self.level):
            return False
        if self.since is not None and (moment is None or moment < self.since):
            return False
        if self.until is not None and (moment is None or moment > self.until):
            return False
        return self.text in line.casefold()

    def may_have(self, block: bytes) -> bool:
        """Whether a block of bytes can hold a wanted text; False is certain."""
        return not self.text.isascii() or self.text.encode() in block.lower()

    def is_past(self, block: "Block") -> bool:
        """Whether everything before the block is older than what is wanted."""
        moments = [moment for _, moment in block.facts if moment is not None]
        return self.since is not None and bool(moments) and max(moments) < self.since


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring lines of a file: where each begins, what it tells, what it says."""

    offsets: list[int]
    facts: list[Facts]
    lines: list[str]


def search(path: str, query: LogQuery) -> Page[LogEntry]:
    """Return the newest entries that fit, the oldest of them first. Blocks; raises what opening the file raises."""
    wanted = Wanted.of(query)
    file = opened(path)
    found: list[tuple[int, Facts, str]] = []
    try:
        end = os.fstat(file).st_size if query.cursor is None else _cursor(query.cursor)
        for block in _backwards(file, end, wanted):
            for offset, facts, line in zip(
                reversed(block.offsets), reversed(block.facts), reversed(block.lines), strict=True
            ):
                if wanted.has(facts, line):
                    found.append((offset, facts, line))
            if len(found) > query.limit or wanted.is_past(block):
                break
    finally:
        os.close(file)
    kept = found[: query.limit][::-1]
    more = len(found) > query.limit
    items = [entry_of(facts, line, path) for _, facts, line in kept]
    return Page[LogEntry](items=items, next_cursor=str(kept[0][0]) if more else None, truncated=more)


def entry_of(facts: Facts, line: str, source: str) -> LogEntry:
    """Make an entry of a line."""
    level, moment = facts
    return LogEntry(time=datetime.fromisoformat(moment) if moment else None, level=level, message=line, source=source)


def inherited(facts: list[Facts], before: Facts = NOTHING) -> list[Facts]:
    """Give each line without a moment or a level those of the line before it, as lines of a stack trace have them."""
    whole = []
    for level, moment in facts:
        before = (level or before[0], before[1]) if moment is None else (level, moment)
        whole.append(before)
    return whole


def _backwards(file: int, end: int, wanted: Wanted) -> Iterator[Block]:
    """Yield the blocks of the file before `end`, the last one first; those that cannot have the text are left out."""
    parser = LogParser()
    while end > 0:
        start = max(0, end - CHUNK)
        data = os.pread(file, end - start, start)
        if start > 0:
            cut = data.find(b"\n") + 1
            if cut < len(data):  # else it is one line: then it is cut
                start, data = start + cut, data[cut:]
        if wanted.may_have(data):
            block = _block(parser, data, start)
            # Lines that continue one of the block before belong there.
            own = next((place for place, facts in enumerate(block.facts) if facts is not NOTHING), 0) if start else 0
            if own:
                start = block.offsets[own]
                block = Block(block.offsets[own:], block.facts[own:], block.lines[own:])
            yield Block(block.offsets, inherited(block.facts), block.lines)
        end = start


def _block(parser: LogParser, data: bytes, start: int) -> Block:
    raw = data.removesuffix(b"\n").split(b"\n")
    offsets = []
    for line in raw:
        offsets.append(start)
        start += len(line) + 1
    lines = [line.removesuffix(b"\r")[:MOST_LINE_BYTES].decode("utf-8", "replace") for line in raw]
    return Block(offsets, parser.facts("\n".join(lines) + "\n"), lines)


def _written(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None


def _cursor(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise ValidationError.because("The cursor is not one that was given.", field="cursor")
    return int(cursor)
