"""What the processes of one server share: what each caller may still ask, and when accounts were last changed.

It is one piece of memory that the first process makes and the others map. A record lock on the file behind it is held
for a few instructions at a time, and goes with the process that holds it.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import time
from hashlib import blake2b
from typing import Self

from nexus.kernel.server.limits import BURST_SECONDS

HEAD_BYTES = 64
SLOT = struct.Struct("=16sdd")
"""A caller's digest, how many requests it has left, and when that was so."""
WAYS = 8
SETS = 4096
SET_BYTES = SLOT.size * WAYS
SIZE = HEAD_BYTES + SETS * SET_BYTES
COUNTER = struct.Struct("=Q")


class SharedMemory:
    """The memory. `descriptor` is what another process opens it by."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, SIZE)

    @classmethod
    def make(cls) -> Self:
        """Make it, all zero: a file without a name."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("nexus-serve")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, SIZE)
        return cls(descriptor)

    def close(self) -> None:
        """Let go of it."""
        self._map.close()
        os.close(self.descriptor)

    def changes(self) -> int:
        """Return how often accounts were changed since the server's start."""
        found: int = COUNTER.unpack_from(self._map, 0)[0]
        return found

    def changed(self) -> None:
        """Say that an account was changed: what is remembered of any is old."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX, HEAD_BYTES, 0)
        try:
            COUNTER.pack_into(self._map, 0, self.changes() + 1)
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, HEAD_BYTES, 0)

    def take(self, caller: str, pace: float, most: float) -> float:
        """Take one request out of a caller's bucket; return 0, or the seconds after which there is one again.

        Where there are more callers than places, the bucket that was not used for the longest time is given away.
        """
        digest = blake2b(caller.encode(), digest_size=16).digest()
        begin = HEAD_BYTES + int.from_bytes(digest[:4], "little") % SETS * SET_BYTES
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX, SET_BYTES, begin)
        try:
            now = time.monotonic()
            place, left, seen = self._find(begin, digest, most, now)
            left = min(most, left + (now - seen) * pace)
            waits = 0.0 if left >= 1 else (1 - left) / pace
            SLOT.pack_into(self._map, place, digest, left - 1 if left >= 1 else left, now)
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, SET_BYTES, begin)
        return waits

    def _find(self, begin: int, digest: bytes, most: float, now: float) -> tuple[int, float, float]:
        """Return a caller's place, what it had left and when; a new one's has all."""
        oldest, place = now, begin
        for at in range(begin, begin + SET_BYTES, SLOT.size):
            kept, left, seen = SLOT.unpack_from(self._map, at)
            if kept == digest:
                return at, left, seen
            if seen < oldest:
                oldest, place = seen, at
        return place, most, now


class SharedRateLimit:
    """A `RateLimit` that holds over all processes of a server."""

    def __init__(self, per_minute: int, memory: SharedMemory) -> None:
        self._pace = per_minute / 60
        self._most = max(self._pace * BURST_SECONDS, 1.0)
        self._memory = memory

    def take(self, caller: str) -> float:
        """Take one request of a caller; return 0, or the seconds after which there is one again."""
        return self._memory.take(caller, self._pace, self._most)
