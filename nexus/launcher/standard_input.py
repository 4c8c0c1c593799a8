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


def until_writable(descriptor: int) -> None:
    """Wait for a descriptor without blocking writes to take bytes again, or to fail."""
    if sys.platform == "darwin":
        select.select((), (descriptor,), ())
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()
