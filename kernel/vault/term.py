"""How long something that was lent is good, and when it is to be renewed."""

import random
import time
from dataclasses import dataclass, field

DUE = 2 / 3
"""At this part of its time it is renewed, as HashiCorp's own watcher does."""
JITTER = 0.1
"""So much earlier at the most: what was lent at once is not renewed at once."""
WORTH = 0.5
"""Granted less than this part of the first time, it is at its longest: another is fetched in its place."""
OVER_SECONDS = 0.001


def _jitter() -> float:
    return random.uniform(1 - JITTER, 1)  # noqa: S311 -- it hides nothing, it spreads


@dataclass(frozen=True, slots=True)
class Term:
    """Good for `seconds` from `began` (seconds since 1970); 0 is for ever. `first` is what was granted at first."""

    seconds: float
    renewable: bool
    began: float = field(default_factory=time.time)
    first: float = 0.0
    jitter: float = field(default_factory=_jitter)

    @property
    def ends(self) -> float:
        """When it is good no more."""
        return self.began + self.seconds if self.seconds else float("inf")

    @property
    def due(self) -> float:
        """When to renew it, or to fetch another."""
        return self.began + self.seconds * DUE * self.jitter if self.seconds else float("inf")

    @property
    def is_last(self) -> bool:
        """Whether it cannot be made longer: then another is fetched when it is due."""
        return not self.renewable or self.seconds < self.first * WORTH

    def renewed(self, seconds: float, *, renewable: bool) -> "Term":
        """Return the term that a renewal granted."""
        if seconds <= 0 < self.seconds:
            # Nothing more was granted: that is no time without an end.
            return Term(OVER_SECONDS, renewable=False, first=self.first or self.seconds)
        return Term(seconds, renewable, first=self.first or self.seconds)
