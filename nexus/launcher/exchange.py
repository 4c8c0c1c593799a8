"""One command's talk with the resident: its socket, what is said first, and the frames from then on."""

import _socket
import posix
import sys

from nexus.launcher import frames
from nexus.launcher.frames import FrameReader, frame
from nexus.launcher.process import (
    EndRequest,
    encode,
    folder,
    identity,
    limits,
    mask,
    window,
    write_all,
    write_stdout,
)

SILENCE_SECONDS = 10.0
"""After so long without a frame the resident is asked whether it still lives; after as long again it does not."""

PAUSE_SECONDS = 0.02

EXITED = "exited"
REFUSED = "refused"
DRAINING = "draining"
NEVER_BEGUN = "never begun"
"""The resident ended, and had not read the hello: the command can be sent to another."""
LOST = "lost"
"""The resident ended, and nobody knows how far the command came."""
SILENT = "silent"
"""The resident is there and does not answer."""


PEER = (0, 1, 76) if sys.platform == "darwin" else (_socket.SOL_SOCKET, getattr(_socket, "SO_PEERCRED", 17), 12)
"""Level, option and size of the credentials of a socket's other end; the uid is bytes 4 to 8 in both layouts."""


class Unavailable(Exception):
    """The resident cannot be had. `code` is an error's code; `fatal` says that running without it would be wrong, and
    `printed` that stdout has begun to be written."""

    def __init__(self, reason: str, *, code: str = "RESIDENT_UNAVAILABLE", fatal: bool = False, hint: str = "") -> None:
        super().__init__(reason)
        self.printed = False
        self.reason = reason
        self.code = code
        self.fatal = fatal
        self.hint = hint


def reach(path: str, runtime: str) -> _socket.socket | None:
    """Connect to a socket in a folder that is ours alone; None when nobody listens. Raises `Unavailable`."""
    if not private(runtime):
        return None
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(SILENCE_SECONDS)
    try:
        connection.connect(encode(path))
    except BlockingIOError:
        # The backlog is full: a thousand commands at once.
        connect_patiently(connection, encode(path), SILENCE_SECONDS)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise Unavailable(f"{path} cannot be connected to: {error.strerror}.") from error
    owner = int.from_bytes(connection.getsockopt(*PEER)[4:8], sys.byteorder)
    if owner != posix.geteuid():
        raise Unavailable(f"The process that listens at {path} belongs to another user (uid {owner}).", fatal=True)
    return connection


def private(runtime: str) -> bool:
    """Say whether the folder is there. Raises `Unavailable` unless it is a real one, ours, and closed to others."""
    try:
        found = posix.lstat(runtime)
    except OSError:
        return False
    if found.st_uid != posix.geteuid():
        problem = f"belongs to another user (uid {found.st_uid})"
    elif found.st_mode & 0o170000 != 0o040000:
        problem = "is no folder"
    elif found.st_mode & 0o077:
        problem = f"is open to others (mode {found.st_mode & 0o777:o})"
    else:
        return True
    raise Unavailable(
        f"{runtime} {problem}: a socket in it cannot be trusted.",
        fatal=True,
        hint=f"Make {runtime} yours alone (mode 700) or remove it; else set XDG_RUNTIME_DIR to a folder of your own.",
    )


def connect_patiently(connection: _socket.socket, path: bytes, seconds: float) -> None:
    """Connect to a socket whose backlog is full, when there is room. Raises `Unavailable`."""
    import time

    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.connect(path)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unavailable("The resident takes no more commands.", fatal=True) from None
            time.sleep(PAUSE_SECONDS)
        except OSError as error:
            raise Unavailable(f"The resident cannot be connected to: {error.strerror}.") from error
        else:
            return


def hello(version: str, site: str, key: str, argv: list[bytes], *, again: bool = False, reached: bytes = b"") -> bytes:
    """Return the payload of a HELLO: fields with a NUL between, which none of them can contain.

    protocol, version, site folder's identity, key of the places, cwd, umask, columns, rows, terminals (three digits,
    one each for stdin, stdout, stderr), again, the position that a stream reached, limits, how many words, the words,
    the environment as NAME=value.
    """
    columns, rows = window()
    fields = [
        b"%d" % frames.PROTOCOL,
        version.encode(),
        identity(site),
        key.encode(),
        folder(),
        b"%d" % mask(),
        b"%d" % columns,
        b"%d" % rows,
        b"".join(b"1" if posix.isatty(end) else b"0" for end in (0, 1, 2)),
        b"1" if again else b"0",
        reached,
        limits(),
        b"%d" % len(argv),
        *argv,
    ]
    fields += [b"%b=%b" % item for item in posix.environ.items()]
    return b"\0".join(fields)


class Exchange:
    """The frames of one command. `relay` may be a signal handler from the moment the object exists."""

    def __init__(self, socket: _socket.socket) -> None:
        self.socket = socket
        self.reader = FrameReader()
        self.printed = False
        self.status = 1
        self.reason = b""
        self.asked = EndRequest()
        self.wanted = 0
        self.sent_more = False
        self.took_stdin = False
        self.holds_terminal = False
        self.stderr_open = True
        self.sending = False
        self.waiting: list[bytes] = []
        self.held: list[bytes] = []
        self.reached = b""

    def run(self, hello: bytes) -> str:
        """Send the hello and serve until the last frame. Raises `Unwritable`, and `FrameInvalid`; ends the process
        when stdout's reader is gone."""
        try:
            self.send(frame(frames.HELLO, hello), more=False)
        except TimeoutError:
            return SILENT
        except OSError:
            return NEVER_BEGUN
        try:
            ending = None
            while ending is None:
                ending = self.step()
        except TimeoutError:
            return SILENT
        except ConnectionResetError:
            # The peer closed with bytes of ours unread, and the hello is all it was sent.
            return LOST if self.sent_more else NEVER_BEGUN
        except ConnectionError:
            return LOST
        return ending

    def step(self) -> str | None:
        """Wait for frames and do what they say; return how the command ended. Raises `TimeoutError` on silence."""
        if self.wanted:
            self.feed_stdin()
        try:
            data = self.socket.recv(frames.CHUNK + frames.HEADER)
        except TimeoutError:
            self.send(frame(frames.PING))
            data = self.socket.recv(frames.CHUNK + frames.HEADER)
        if not data:
            return LOST
        for kind, payload in self.reader.feed(data):
            ending = self.take(kind, payload)
            if ending:
                return ending
        return None

    def take(self, kind: int, payload: bytes) -> str | None:
        """Do what one frame says; return how the command ended with the last one."""
        if kind == frames.STDOUT:
            self.printed = True
            write_stdout(payload)
        elif kind == frames.LINES:
            self.held.append(payload)
        elif kind == frames.MARK:
            # One by one: to join them costs as much as all the rest of the way.
            for lines in self.held:
                write_stdout(lines)
            self.held.clear()
            self.reached = payload
        elif kind == frames.EXIT:
            self.status = int(payload)
            return EXITED
        elif kind == frames.STDERR:
            self.write_stderr(payload)
        elif kind == frames.STDIN_WANTED:
            self.wanted = int(payload)
        elif kind == frames.RAW:
            from nexus.launcher.terminal import hand_over

            self.holds_terminal = hand_over(self.tell, payload) or self.holds_terminal
        elif kind in (frames.REFUSED, frames.DRAINING):
            self.reason = payload
            return REFUSED if kind == frames.REFUSED else DRAINING
        return None

    def feed_stdin(self) -> None:
        """Read stdin once and send what came, unless the resident says something first."""
        from nexus.launcher.standard_input import read

        data = read(self.socket.fileno(), min(self.wanted, frames.CHUNK))
        if data is not None:
            self.wanted = 0
            self.took_stdin = True
            self.send(frame(frames.STDIN_DATA, data) if data else frame(frames.STDIN_END))

    def write_stderr(self, data: bytes) -> None:
        """Write to stderr; where nobody reads it, that is no reason to fail."""
        if self.stderr_open:
            try:
                write_all(2, data)
            except OSError:
                self.stderr_open = False

    def send(self, data: bytes, *, more: bool = True) -> None:
        """Send whole frames; a signal that comes meanwhile sends its own behind them, never between."""
        self.sending = True
        self.sent_more = self.sent_more or more
        try:
            self.socket.sendall(data)
            while self.waiting:
                self.sent_more = True
                self.socket.sendall(self.waiting.pop(0))
        finally:
            self.sending = False

    def relay(self, number: int, _frame: object = None) -> None:
        """Pass a signal on; the second that ends a command ends this process at once."""
        if self.asked.take(number):
            self.tell(frame(frames.SIGNAL, b"%d" % number))

    def tell(self, data: bytes) -> None:
        """Send a frame from a signal handler, now or behind what is being sent."""
        if self.sending:
            self.waiting.append(data)
            return
        try:
            self.send(data)
        except OSError:
            # The main line finds the end of the connection when it reads.
            return
