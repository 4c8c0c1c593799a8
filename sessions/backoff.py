"""How long to wait before asking again: exponential, with full jitter, bounded."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits of 0 to `first` seconds, doubled with each failure up to `most`; over after `patience` seconds in all."""

    first: float = 0.1
    most: float = 5.0
    patience: float = 60.0

    def delay(self, failures: int, random_: Callable[[], float] = random.random) -> float:
        """Return the wait after so many failures in a row, from 1 on; `random_` gives a number from 0 to 1."""
        return random_() * min(self.most, self.first * 2.0 ** min(failures - 1, 30))
