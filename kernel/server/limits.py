"""Bounds on what one caller may ask: so many requests a minute, with a burst above it."""

import time
from collections import OrderedDict
from collections.abc import Callable

BURST_SECONDS = 10.0
"""So many seconds' worth of requests may come at once."""
MOST_CALLERS = 20_000


class RateLimit:
    """A bucket a caller, filled at a pace. One event loop."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace = per_minute / 60
        self._most = max(self._pace * BURST_SECONDS, 1.0)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take one request of a caller; return 0, or the seconds after which there is one again."""
        now = self._clock()
        left, seen = self._buckets.pop(caller, (self._most, now))
        left = min(self._most, left + (now - seen) * self._pace)
        waits = 0.0 if left >= 1 else (1 - left) / self._pace
        self._buckets[caller] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return waits
