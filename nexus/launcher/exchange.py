"""One command's talk with the resident: frames to this process's ends, stdin and signals to the resident."""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import _socket
import posix

from nexus.launcher import frames
from nexus.launcher.frames import FrameReader, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Type checkers know this name too; typing would cost the launcher a third of its budget.
    from collections.abc import Callable
    from typing import NoReturn

SILENCE_SECONDS = 10.0
"""After so long without a frame the resident is asked whether it still lives; after as long again it does not."""

EXITED = "exited"
REFUSED = "refused"
DRAINING = "draining"
NEVER_BEGUN = "never begun"
"""The resident ended, and had not read the hello: the command can be sent to another."""
LOST = "lost"
"""The resident ended, and nobody knows how far the command came."""
SILENT = "silent"
"""The resident is there and does not answer."""

LEAVING = {_signal.SIGINT: 130, _signal.SIGTERM: 143, _signal.SIGHUP: 129}
READER_GONE = 141


class Unwritable(Exception):
    """stdout takes no more, and not because its reader went away: closed, or no space left."""


class Exchange:
    """The frames of one command. `relay` may be a signal handler from the moment the object exists."""

    def __init__(self, socket: _socket.socket) -> None:
        self.socket = socket
        self.reader = FrameReader()
        self.printed = False
        self.status = 1
        self.reason = b""
        self.interrupted = False
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
            from nexus.launcher.terminal import take

            take(self)
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
        if self.interrupted:
            leave(LEAVING[number], by_signal=number)
        self.interrupted = True
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


def write_stdout(data: bytes) -> None:
    """Write to stdout, at its reader's pace. Raises `Unwritable`; ends the process when the reader is gone."""
    try:
        write_all(1, data)
    except BrokenPipeError:
        end(READER_GONE)
    except OSError as error:
        raise Unwritable(error.strerror) from error


def write_all(end: int, data: bytes) -> None:
    """Write everything, however little the descriptor takes at a time."""
    written = 0
    while written < len(data):
        try:
            written += posix.write(end, data[written:] if written else data)
        except BlockingIOError:
            from nexus.launcher.standard_input import until_writable

            until_writable(end)


def leave(status: int, *, by_signal: int = 0) -> "NoReturn":
    """End this process now; after ^C on a terminal by the signal itself, so that a shell's loop stops too."""
    if by_signal == _signal.SIGINT:
        put_back()
        try:
            posix.open("/dev/tty", posix.O_RDONLY | posix.O_NOCTTY | posix.O_CLOEXEC)
        except OSError:
            end(status)
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        posix.kill(posix.getpid(), _signal.SIGINT)
    end(status)


at_end: "list[Callable[[], None]]" = []
"""What puts back what this process changed outside itself."""


def end(status: int) -> "NoReturn":
    """End this process without tearing the interpreter down: nothing of it is left to close."""
    put_back()
    posix._exit(status)  # noqa: SLF001 -- public under the name os._exit, but os is not imported


def put_back() -> None:
    """Undo what was changed outside this process."""
    while at_end:
        at_end.pop()()
