"""The holder's loop: descriptors that are ready, timers that are due, children that changed. One thread, no asyncio.

asyncio costs ten megabytes and a fork hazard; what the holder needs of it is here.
"""

import contextlib
import heapq
import itertools
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable

Callback = Callable[[], object]


class Timer:
    """A call in the future; `cancel` makes it none."""

    __slots__ = ("call",)

    def __init__(self, call: Callback) -> None:
        self.call: Callback | None = call

    def cancel(self) -> None:
        self.call = None


def _selector() -> selectors.BaseSelector:
    # macOS: kqueue and poll have failed on terminal devices in one release or another; select does not.
    return selectors.SelectSelector() if sys.platform == "darwin" else selectors.DefaultSelector()


class Reactor:
    """Calls back when a descriptor can be read or written, when time has passed, and when a signal came."""

    def __init__(self) -> None:
        self._selector = _selector()
        self._callbacks: dict[int, list[Callback | None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._signals: dict[int, Callback] = {}
        self._wake_reader, self._wake_writer = os.pipe()
        for fd in (self._wake_reader, self._wake_writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        self.on_readable(self._wake_reader, self._signalled)

    def on_readable(self, fd: int, call: Callback | None) -> None:
        """Call when `fd` has something to read; None stops that."""
        self._set(fd, 0, call)

    def on_writable(self, fd: int, call: Callback | None) -> None:
        """Call when `fd` takes something; None stops that."""
        self._set(fd, 1, call)

    def forget(self, fd: int) -> None:
        """Stop watching `fd`: to be done before it is closed."""
        if self._callbacks.pop(fd, None) is not None:
            self._selector.unregister(fd)

    def on_signal(self, number: int, call: Callback) -> None:
        """Call when the signal came; several of them may be one call."""
        self._signals[number] = call
        signal.signal(number, lambda *_: None)

    def after(self, seconds: float, call: Callback) -> Timer:
        """Call once, `seconds` from now."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def turn(self) -> None:
        """Wait for the next thing to happen, and make its calls."""
        for key, events in self._selector.select(self._pause()):
            for side, mask in enumerate((selectors.EVENT_READ, selectors.EVENT_WRITE)):
                # An earlier call of this turn may have closed the descriptor.
                calls = self._callbacks.get(key.fd)
                if calls is not None and events & mask and (call := calls[side]) is not None:
                    call()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                timer.call()

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        self._selector.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _pause(self) -> float | None:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _set(self, fd: int, side: int, call: Callback | None) -> None:
        calls = self._callbacks.get(fd)
        if calls is None:
            if call is None:
                return
            calls = self._callbacks[fd] = [None, None]
            calls[side] = call
            self._selector.register(fd, selectors.EVENT_WRITE if side else selectors.EVENT_READ)
            return
        if calls[side] is call:
            return
        calls[side] = call
        events = (selectors.EVENT_READ if calls[0] else 0) | (selectors.EVENT_WRITE if calls[1] else 0)
        if events:
            self._selector.modify(fd, events)
        else:
            self.forget(fd)

    def _signalled(self) -> None:
        came: set[int] = set()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._wake_reader, 4096):
                came.update(data)
        for number in came:
            if call := self._signals.get(number):
                call()
