"""The protocol between launcher and resident: frames of a type byte, four bytes of length, and that many bytes.

The launcher speaks first, with one `HELLO`. Its type byte is 0, and no HTTP request begins so: both share one socket.
Types and this framing never change their meaning; what a hello says is versioned by its first field (`PROTOCOL`).

    launcher                         resident
    HELLO ─────────────────────────▶
          ◀───────────────────────── STDOUT, STDERR            any number
          ◀───────────────────────── LINES… MARK               a stream's lines, and the position behind them
          ◀───────────────────────── STDIN_WANTED              the command asks for up to so many bytes
    STDIN_DATA or STDIN_END ───────▶                           one answer to each
    SIGNAL, WINDOW, PING ──────────▶                           at any time
          ◀───────────────────────── PONG                      to each PING
          ◀───────────────────────── RAW                       the command takes the terminal
          ◀───────────────────────── EXIT, REFUSED or DRAINING the last frame
"""

PROTOCOL = 1

HELLO = 0
STDOUT = 1
STDERR = 2
EXIT = 3
"""Payload: the exit status in decimal digits."""
STDIN_WANTED = 4
"""Payload: how many bytes at most, in decimal digits."""
REFUSED = 5
"""Payload: the reason, a sentence."""
DRAINING = 6
"""Payload: the resident's instance name. The command was not begun; a successor will take it."""
PONG = 7
RAW = 8
"""The command takes stdin's terminal for itself: keys come as they are pressed, and WINDOW tells its size's changes.
With the payload `hidden` it only shows no more what is typed. The launcher puts the terminal back when it ends."""
LINES = 9
"""Lines of a stream, held back until the MARK behind them, so that none is printed in part or twice."""
MARK = 10
"""Payload: the position that the lines before it reach. A launcher whose resident died hands it to the next one."""
STDIN_DATA = 16
STDIN_END = 17
SIGNAL = 18
"""Payload: the signal's number in decimal digits."""
WINDOW = 19
"""Payload: columns and rows in decimal digits, a space between."""
PING = 20

HEADER = 5
LARGEST = 1 << 20
LARGEST_HELLO = 16 << 20
"""Linux takes six megabytes of argv and environment at most."""
CHUNK = 1 << 16
"""A good size for stdout and stdin: as much as a pipe holds."""


class FrameInvalid(Exception):
    """The other end does not speak this protocol."""


def frame(kind: int, payload: bytes = b"") -> bytes:
    """Return one frame's bytes."""
    return head(kind, len(payload)) + payload


def head(kind: int, size: int) -> bytes:
    """Return what stands before a payload of so many bytes."""
    return b"%c%b" % (kind, size.to_bytes(4, "big"))


class FrameReader:
    """Bytes in, frames out; `largest` bounds a payload. A partial frame waits for its rest."""

    __slots__ = ("largest", "rest")

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest = largest
        self.rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the frames that are complete now. Raises `FrameInvalid` for one that is too long."""
        buffer = self.rest + data if self.rest else data
        frames: list[tuple[int, bytes]] = []
        start = 0
        available = len(buffer)
        while available - start >= HEADER:
            size = int.from_bytes(buffer[start + 1 : start + HEADER], "big")
            if size > self.largest:
                raise FrameInvalid(f"a frame of {size} bytes, where {self.largest} is the most")
            end = start + HEADER + size
            if end > available:
                break
            frames.append((buffer[start], buffer[start + HEADER : end]))
            start = end
        self.rest = buffer[start:]
        return frames
