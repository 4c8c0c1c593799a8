"""Byte ranges of RFC 9110, section 14: one range of a request, and which bytes it means."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `first` up to `end`, which is the first that is not meant."""

    first: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.first


class Unsatisfiable(Exception):
    """None of the bytes that are asked for are there."""


def span_of(header: str | None, size: int) -> Span | None:
    """Return what a Range header asks of `size` bytes; None is all of them. Raises `Unsatisfiable`.

    "A server MAY ignore the Range header field": one of several ranges, of another unit, or that cannot be read.
    """
    match = _RANGE.fullmatch(header) if header is not None else None
    if match is None:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise Unsatisfiable
        return Span(size - length, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, min(int(last) + 1, size) if last else size)


@dataclass(frozen=True, slots=True)
class Parts:
    """How `size` bytes are cut: parts of `part_size`, numbered from 1, the last one shorter. No bytes are one part."""

    size: int
    part_size: int

    @property
    def count(self) -> int:
        return max(1, -(-self.size // self.part_size))

    def span(self, number: int) -> Span:
        """Return a part's bytes. Raises `IndexError` for a number that no part has."""
        if not 1 <= number <= self.count:
            raise IndexError(number)
        first = (number - 1) * self.part_size
        return Span(first, min(first + self.part_size, self.size))

    def contiguous(self, there: "set[int] | frozenset[int]", begin: int = 1) -> int:
        """Return the number of the first part, from `begin` on, that is not there."""
        number = begin
        while number in there:
            number += 1
        return number
