"""A program's output on its way into the spool, and what holds it back.

The disk quota pauses a program whose spool nobody reads; a full disk does; and a sole interactive reader does, which
wants no more ahead of it than a small window. Each is told by name in `paused`. Somebody who types elsewhere only slows
it, for moments that nobody is told of.
"""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from nexus.kernel.holder.pace import PACED_BYTES, PACED_PAUSE, Pace
from nexus.kernel.holder.reactor import Reactor, Timer
from nexus.kernel.holder.spool import Kind, SpoolWriter

JOINED = 64 * 1024
"""At most so much output becomes one record, and is read before others have their turn."""

MOST_DRAINED = 64
"""So many records of others' output are read at the end of a program, at most."""

DISK_RETRY = 1.0


class Output:
    """Reads what a program prints, on the descriptors it was given with `listen`.

    `active` is when it last did (monotonic). `printed` is called when the spool has grown, `ended` when the last
    descriptor is at its end.
    """

    def __init__(
        self,
        reactor: Reactor,
        pace: Pace,
        spool: SpoolWriter,
        limit: int,
        printed: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self.spool = spool
        self.paused: set[str] = set()
        self.active = time.monotonic()
        self._reactor = reactor
        self._pace = pace
        self._paced: Timer | None = None
        self._limit = limit
        self._printed = printed
        self._ended = ended
        self._sources: dict[int, Kind] = {}
        self._unwritten: deque[tuple[Kind, list[bytes]]] = deque()
        self._retry: Timer | None = None
        self._window: int | None = None
        self._acknowledged = 0

    @property
    def open(self) -> bool:
        """Whether somebody may still print."""
        return bool(self._sources)

    @property
    def windowed(self) -> bool:
        """Whether a sole interactive reader, a person, has it before them."""
        return self._window is not None

    def listen(self, fd: int, kind: Kind) -> None:
        """Read `fd` until its end."""
        self._sources[fd] = kind
        if not self.paused and self._paced is None:
            self._reactor.on_readable(fd, lambda: self._take(fd))

    def drop(self) -> None:
        """Read no more. The descriptors stay open."""
        for fd in self._sources:
            self._reactor.forget(fd)
        self._sources.clear()

    def tell(self, kind: Kind, facts: dict[str, Any]) -> None:
        """Put a record of our own between the output, in order, as soon as the disk takes it."""
        self._keep(kind, [json.dumps(facts, separators=(",", ":")).encode()])

    def confirm(self, position: int) -> None:
        """The reader has everything before `position` safe."""
        self.spool.confirm(position)
        if self.spool.unconfirmed <= self._limit // 2:
            self._resume("quota")

    def window(self, size: int | None, acknowledged: int) -> None:
        """Read at most `size` bytes ahead of what the one reader acknowledged; None lifts that."""
        self._window = size
        self._acknowledged = max(self._acknowledged, acknowledged)
        if size is None or self.spool.end - self._acknowledged <= size // 2:
            self._resume("window")

    def unbind(self) -> None:
        """Hold nothing back any more but on a full disk: the end is near."""
        self._limit = sys.maxsize
        self._resume("quota")
        self.window(None, 0)

    def drain(self) -> None:
        """Read what was printed until now, as far as nothing holds it back; others may print more."""
        for fd in list(self._sources):
            for _ in range(MOST_DRAINED):
                if self.paused or fd not in self._sources or not self._pull(fd):
                    break

    def _take(self, fd: int) -> None:
        if self.windowed or not self._pace.slow:
            self._pull(fd)
            return
        if self._pull(fd, PACED_BYTES) and not self.paused:
            self._unwatch()
            self._paced = self._reactor.after(PACED_PAUSE, self._paced_enough)

    def _paced_enough(self) -> None:
        self._paced = None
        self._watch()

    def _pull(self, fd: int, most: int = JOINED) -> int:
        """Read what is there, up to `most` bytes, into one record. Return how many bytes it was."""
        chunks: list[bytes] = []
        size = 0
        ended = False
        try:
            while size < most and (data := os.read(fd, most - size)):
                chunks.append(data)
                size += len(data)
            ended = size < most
        except BlockingIOError:
            pass
        except OSError:
            ended = True  # EIO: nobody has the terminal open any more
        if size:
            self.active = time.monotonic()
            self._keep(self._sources[fd], chunks)
            self._hold_back()
        if ended:
            self._reactor.forget(fd)
            del self._sources[fd]
            if not self._sources:
                self._ended()
        return size

    def _keep(self, kind: Kind, chunks: list[bytes]) -> None:
        if self._unwritten:
            self._unwritten.append((kind, chunks))
            return
        try:
            self.spool.append(kind, chunks)
        except OSError:
            # What follows stays where the program printed it; this piece is all that we hold in memory.
            self._unwritten.append((kind, chunks))
            self._pause("disk")
            self._retry = self._reactor.after(DISK_RETRY, self._retry_disk)
            return
        self._printed()

    def _retry_disk(self) -> None:
        waiting, self._unwritten = self._unwritten, deque()
        for kind, chunks in waiting:
            self._keep(kind, chunks)
        if not self._unwritten:
            self._resume("disk")

    def _hold_back(self) -> None:
        if self.spool.unconfirmed > self._limit and "quota" not in self.paused:
            self._pause("quota")
            self.tell(Kind.NOTICE, {"paused": "quota", "limit": self._limit})
        if self._window is not None and self.spool.end - self._acknowledged > self._window:
            self._pause("window")

    def _pause(self, reason: str) -> None:
        if not self.paused:
            self._unwatch()
        self.paused.add(reason)

    def _resume(self, reason: str) -> None:
        if reason not in self.paused:
            return
        self.paused.discard(reason)
        if reason != "window":
            self.tell(Kind.NOTICE, {"resumed": reason})
        self._watch()

    def _unwatch(self) -> None:
        for fd in self._sources:
            self._reactor.on_readable(fd, None)

    def _watch(self) -> None:
        for fd, kind in list(self._sources.items()):
            self.listen(fd, kind)
