"""A program's input: numbered by its writers, taken once, written as fast as the program reads."""

import os
from collections import OrderedDict, deque

from nexus.kernel.holder.reactor import Callback, Reactor
from nexus.kernel.holder.refusal import Refused

MOST_WAITING = 1024 * 1024
MOST_WRITERS = 256


class Input:
    """The way into one program, over its restarts. `open` gives the descriptor, `close` takes it back."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._fd = -1
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._then: Callback | None = None
        self._applied: OrderedDict[str, int] = OrderedDict()

    def open(self, fd: int) -> None:
        """Write to `fd` from now on; it stays the caller's to close."""
        self._fd = fd
        self._then = None

    def close(self) -> None:
        """Write no more, and drop what waits."""
        if self._fd >= 0:
            self._reactor.on_writable(self._fd, None)
        self._fd = -1
        self.drop()

    def drop(self) -> None:
        """Forget what was taken and is not yet written."""
        self._waiting.clear()
        self._size = 0

    def take(self, data: bytes, writer: str, number: int) -> bool:
        """Take input once: a number that `writer` has used up is answered with False, and nothing is written."""
        if number <= self._applied.get(writer, 0):
            return False
        if self._fd < 0 or self._then is not None:
            raise Refused("ended", "The program takes no input any more.")
        if self._size + len(data) > MOST_WAITING:
            raise Refused("full", "The program does not read its input.")
        self._applied[writer] = number
        self._applied.move_to_end(writer)
        if len(self._applied) > MOST_WRITERS:
            self._applied.popitem(last=False)
        self.add(data)
        return True

    def add(self, data: bytes) -> None:
        """Write after what waits."""
        if data:
            self._waiting.append(data)
            self._size += len(data)
            self._push()

    def finish(self, then: Callback) -> None:
        """Take no more, and call once what waits is written, or cannot be."""
        self._then = then
        self._push()

    def _push(self) -> None:
        if self._fd < 0:
            return
        try:
            while self._waiting:
                first = self._waiting[0]
                written = os.write(self._fd, first)
                self._size -= written
                if written == len(first):
                    self._waiting.popleft()
                else:
                    self._waiting[0] = first[written:]
        except BlockingIOError:
            self._reactor.on_writable(self._fd, self._push)
            return
        except OSError:  # nobody reads any more
            self.drop()
        self._reactor.on_writable(self._fd, None)
        if self._then is not None:
            self._then()
