"""One connection of the kernel to the holder: frames in, answers and bells out, in bounded memory."""

import socket
from collections.abc import Callable

from nexus.kernel.holder.frames import FrameInvalid, FrameReader, Head, encode
from nexus.kernel.holder.reactor import Reactor

MOST_UNSENT = 4 * 1024 * 1024
"""Beyond this the other end sends requests and reads no answers: its requests wait."""


class Connection:
    """Calls `received` for each frame and `lost` once, when the other end is gone or sends what is no frame."""

    def __init__(
        self,
        reactor: Reactor,
        channel: socket.socket,
        received: Callable[["Connection", Head, bytes], None],
        lost: Callable[["Connection"], None],
    ) -> None:
        self.protocol = 0
        self._reactor = reactor
        self._channel = channel
        self._fd = channel.fileno()
        self._received = received
        self._lost = lost
        self._frames = FrameReader()
        self._unsent = bytearray()
        channel.setblocking(False)
        reactor.on_readable(self._fd, self._read)

    def send(self, head: Head) -> None:
        """Send a frame, now or when the other end takes it."""
        if self._fd < 0:
            return
        self._unsent += encode(head)
        self._write()

    def close(self) -> None:
        """End the connection; what could not be sent yet is not."""
        if self._fd >= 0:
            self._reactor.forget(self._fd)
            self._channel.close()
            self._fd = -1

    def _read(self) -> None:
        try:
            data = self._channel.recv(256 * 1024)
            frames = self._frames.feed(data)
        except BlockingIOError:
            return
        except (OSError, FrameInvalid):
            data, frames = b"", []
        for head, body in frames:
            if self._fd >= 0:
                self._received(self, head, body)
        if not data and self._fd >= 0:
            self.close()
            self._lost(self)

    def _write(self) -> None:
        try:
            sent = self._channel.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            self._lost(self)
            return
        del self._unsent[:sent]
        self._reactor.on_writable(self._fd, self._write if self._unsent else None)
        self._reactor.on_readable(self._fd, self._read if len(self._unsent) <= MOST_UNSENT else None)
