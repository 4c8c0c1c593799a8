"""Reading stdin when the resident asks for it, and waiting for descriptors that do not block."""

import posix
import select
import sys


def read(socket: int, limit: int) -> bytes | None:
    """Return what stdin has, empty at its end; None when the resident spoke first. A closed stdin is at its end."""
    while True:
        ready = readable(socket, 0)
        if socket in ready:
            return None
        try:
            return posix.read(0, limit)
        except BlockingIOError:
            continue
        except OSError:
            # EBADF: there is none. EIO: the terminal is gone, or this process is in the background.
            return b""


def readable(*descriptors: int) -> list[int]:
    """Wait for one that can be read, has ended or is invalid."""
    if sys.platform == "darwin":
        # Its poll() knows no terminals.
        return select.select(descriptors, (), ())[0]
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll()]


def until_writable(descriptor: int, seconds: float | None = None) -> bool:
    """Wait, for so long at most, until a descriptor takes bytes or fails; say whether it does."""
    if sys.platform == "darwin":
        return bool(select.select((), (descriptor,), (), seconds)[1])
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(None if seconds is None else int(seconds * 1000)))
