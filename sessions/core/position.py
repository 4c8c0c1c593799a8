"""Positions in a session's stream, and the batches of whole lines that move between them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """`seq` is the last event that was taken; 0 is before the first. Another epoch is another stream."""

    session_id: str
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The numbered lines `first` to `last` of one epoch, each ended by a newline. `end`: the last one is the end."""

    epoch: int
    first: int
    last: int
    lines: bytes
    end: bool = False

    @property
    def count(self) -> int:
        return self.last - self.first + 1

    def check(self) -> None:
        """Raise ValueError unless the lines are whole and as many as the numbers say: for what a network brought."""
        if self.first < 1 or self.last < self.first:
            raise ValueError(f"a batch from {self.first} to {self.last}")
        if not self.lines.endswith(b"\n") or self.lines.count(b"\n") != self.count:
            raise ValueError(f"the batch from {self.first} to {self.last} does not hold {self.count} whole lines")

    def after(self, seq: int) -> "Batch":
        """Return the part behind `seq`, which lies inside the batch; cut at the line."""
        if seq < self.first:
            return self
        kept = self.lines[nth_line(self.lines, seq - self.first + 1) :]
        return Batch(self.epoch, seq + 1, self.last, kept, self.end)

    def until(self, seq: int) -> "Batch":
        """Return the part up to and with `seq`, which lies inside the batch; cut at the line."""
        if seq >= self.last:
            return self
        kept = self.lines[: nth_line(self.lines, seq - self.first + 1)]
        return Batch(self.epoch, self.first, seq, kept)


def coalesced(batches: list[Batch], most_bytes: int) -> list[Batch]:
    """Join neighbours of one epoch into batches of up to `most_bytes`; what is larger stays as it is."""
    groups: list[list[Batch]] = []
    size = 0
    for batch in batches:
        if groups and size + len(batch.lines) <= most_bytes:
            groups[-1].append(batch)
            size += len(batch.lines)
        else:
            groups.append([batch])
            size = len(batch.lines)
    return [_joined(group) for group in groups]


def _joined(group: list[Batch]) -> Batch:
    first, last = group[0], group[-1]
    if first is last:
        return first
    return Batch(first.epoch, first.first, last.last, b"".join([batch.lines for batch in group]), last.end)


def nth_line(lines: bytes, count: int) -> int:
    """Return the offset behind the first `count` lines. Raises ValueError when there are fewer."""
    offset = 0
    for _ in range(count):
        offset = lines.index(b"\n", offset) + 1
    return offset
