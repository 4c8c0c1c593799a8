"""What a program prints on its two pipes as log lines, each in the log once: each pipe has a place of its own there."""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from nexus.kernel.holder.spool import Kind, Record
from nexus.kernel.logs.buffer import LineBuffer
from nexus.kernel.logs.parser import LogParser, log_payloads
from nexus.kernel.secrets.masking import Masker

SOURCES = {Kind.STDOUT: "stdout", Kind.STDERR: "stderr"}


class Channel:
    """stdout or stderr: the line that is not whole yet, and where in the spool it began."""

    def __init__(self, source: str, more: str) -> None:
        self.buffer = LineBuffer()
        self.begin = 0
        self.committed = 0
        self.said: str | None = None
        """The last line."""
        self._source = source
        self._more = more
        self._parser = LogParser()
        self._parts: deque[tuple[int, int]] = deque()
        """Where what is pending came from: the end of each record of it, and how many bytes that had."""
        self._bytes = 0

    def take(self, records: Sequence[Record]) -> list[str]:
        """Take what was printed next, and return a payload for each line that is whole now."""
        text = self.buffer.feed(b"".join([record.payload for record in records]))
        self._parts += [(record.end, len(record.payload)) for record in records]
        self._bytes += sum(len(record.payload) for record in records)
        while self._parts and self._bytes - self.buffer.pending >= self._parts[0][1]:
            self._bytes -= self._parts.popleft()[1]
        if self._parts:
            end, size = self._parts[0]
            self.begin = end - size + self._bytes - self.buffer.pending
        return self._written(text)

    def flush(self) -> list[str]:
        """Return a payload for what is left when no more comes."""
        return self._written(self.buffer.flush())

    def place(self, end: int) -> int:
        """Return the position before which all of it is in the log, once everything up to `end` was taken."""
        return self.begin if self.buffer.pending else max(end, self.committed)

    def _written(self, text: str) -> list[str]:
        if text:
            self.said = text[text.rfind("\n", 0, -1) + 1 : -1]
        return log_payloads(self._parser.facts(text), text, self._source, self._more) if text else []


class Channels:
    """Both pipes of the program whose places stand in the log under `source`.

    Every line's payload has the members `more` beside its own.
    """

    def __init__(self, source: str, more: Mapping[str, Any] | None = None) -> None:
        self.source = source
        told = f",{json.dumps(more, separators=(',', ':'))[1:-1]}" if more else ""
        self._channels = {kind: Channel(name, told) for kind, name in SOURCES.items()}
        self._heard = 0

    def mask(self, mask: Masker | None) -> None:
        """Have secrets masked from now on."""
        for channel in self._channels.values():
            channel.buffer.mask = mask

    def payloads(self, records: Sequence[Record]) -> list[str]:
        """Return a payload for each line that is whole with these STDOUT and STDERR records, which come in order."""
        found: list[str] = []
        for kind, run in groupby(records, key=lambda record: record.kind):
            channel = self._channels[kind]
            if news := [cut for record in run if (cut := _behind(record, channel.committed)) is not None]:
                found += channel.take(news)
        return found

    def rest(self) -> list[str]:
        """Return payloads for what is left when no more comes."""
        return [payload for channel in self._channels.values() for payload in channel.flush()]

    def said(self, kind: Kind) -> str | None:
        """Return the last line that was taken of a pipe."""
        return self._channels[kind].said

    def marks(self, end: int) -> list[tuple[str, int]]:
        """Return what to commit with the payloads up to `end`: each source, and how far it is in the log."""
        places = [(self._mark(kind), channel.place(end)) for kind, channel in self._channels.items()]
        return [*places, (f"{self.source}/told", max(end, self._heard))]

    def go_on(self, positions: Mapping[str, int]) -> None:
        """Take up the committed positions of the sources of `marks`."""
        for kind, channel in self._channels.items():
            channel.committed = positions[self._mark(kind)]
        self._heard = positions[f"{self.source}/told"]

    def is_told(self, record: Record) -> bool:
        """Whether a record that is no output was told before."""
        return record.end <= self._heard

    def _mark(self, kind: Kind) -> str:
        return f"{self.source}/{SOURCES[kind]}"


def _behind(record: Record, position: int) -> Record | None:
    """What of a record is behind a position: all, the rest of its payload, or nothing."""
    if record.end <= position:
        return None
    begin = record.end - len(record.payload)
    if begin >= position:
        return record
    return Record(record.kind, record.time, record.payload[position - begin :], record.end)
