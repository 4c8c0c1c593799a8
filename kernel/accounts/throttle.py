"""Wrong passwords cost time: behind some in a row, the next try is refused for longer and longer."""

import time
from collections import OrderedDict
from collections.abc import Callable

from nexus.schemas.errors import RateLimited

FREE = 5
"""So many wrong ones in a row cost nothing."""
LONGEST_SECONDS = 300.0
FORGOTTEN_SECONDS = 3600.0
MOST_PLACES = 10_000


class Throttle:
    """Counts what went wrong by place: a name that is tried, an address that tries."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def check(self, *places: str) -> None:
        """Raise `RateLimited` while one of the places has to wait."""
        now = self._clock()
        waits = max((self._free_at(place) - now for place in places), default=0.0)
        if waits > 0:
            raise RateLimited(retry_after_ms=int(waits * 1000) + 1)

    def wrong(self, *places: str) -> None:
        """Count one more."""
        now = self._clock()
        for place in places:
            count, _ = self._wrong.pop(place, (0, now))
            self._wrong[place] = (count + 1, now)
        while len(self._wrong) > MOST_PLACES:
            self._wrong.popitem(last=False)

    def right(self, *places: str) -> None:
        """Forget what went wrong before."""
        for place in places:
            self._wrong.pop(place, None)

    def _free_at(self, place: str) -> float:
        count, last = self._wrong.get(place, (0, 0.0))
        if count < FREE or last + FORGOTTEN_SECONDS < self._clock():
            return 0.0
        return last + min(2.0 ** (count - FREE), LONGEST_SECONDS)
