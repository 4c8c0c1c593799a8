"""Who types comes first: while somebody types in one terminal, what the others print is read at a pace.

A program that nobody reads blocks in its own write and leaves the processor alone. That is the one way to favour a key
on every system: a priority can be lowered only for good, and a scheduler that groups by session ignores it.
"""

import time

TYPING = 1.0
"""So many seconds after a key somebody still types."""

PACED_BYTES = 16 * 1024
PACED_PAUSE = 0.03
"""Beside somebody who types, a program is read so many bytes at a time, and then not for so many seconds."""


class Pace:
    """What all programs of a holder share: whether somebody types in one of them."""

    def __init__(self) -> None:
        self._until = 0.0

    def typed(self) -> None:
        """A key was pressed in a terminal that a person has before them."""
        self._until = time.monotonic() + TYPING

    @property
    def slow(self) -> bool:
        """Whether the others give way."""
        return time.monotonic() < self._until
