"""This process: where and under what limits it runs, how it writes to its ends, and how it ends itself."""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import posix
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Type checkers know this name too; typing would cost the launcher a third of its budget.
    from collections.abc import Callable
    from typing import NoReturn

LEAVING = {_signal.SIGINT: 130, _signal.SIGTERM: 143, _signal.SIGHUP: 129}
READER_GONE = 141

SAME_REQUEST_SECONDS = 0.1
"""A signal that comes so soon behind the first is the first again: `timeout` sends it to its command and to the whole
group, a wrapper passes on the ^C that its terminal gave to both."""


class Unwritable(Exception):
    """stdout takes no more, and not because its reader went away: closed, or no space left."""


class EndRequest:
    """What this process was asked to end by: the number of the first signal, 0 until one came."""

    def __init__(self) -> None:
        self.number = 0
        self._came_at = 0.0

    def take(self, number: int) -> bool:
        """Take a signal and say whether it is the first; one that asks again ends this process at once."""
        if not self.number:
            self.number = number
            self._came_at = time.monotonic()
            return True
        if time.monotonic() - self._came_at > SAME_REQUEST_SECONDS:
            leave(LEAVING[number], by_signal=number)
        return False


def identity(site: str) -> bytes:
    """Return what is the same for a folder by whatever path it was reached."""
    found = posix.stat(site)
    return b"%d:%d" % (found.st_dev, found.st_ino)


def folder() -> bytes:
    """Return the working directory; where it was deleted, the path it had, so that only what needs it fails."""
    try:
        return posix.getcwdb()
    except OSError:
        pass
    try:
        # $PWD will not do: the shell that finds the interpreter empties it.
        return posix.readlink(b"/proc/self/cwd").removesuffix(b" (deleted)")
    except OSError:
        return b"/"


def mask() -> int:
    """Return the umask, which can only be read by setting it."""
    found = posix.umask(0o077)
    posix.umask(found)
    return found


def window() -> tuple[int, int]:
    """Return columns and rows of the terminal that one of the standard ends is, else of the controlling one."""
    for end in (1, 2, 0):
        try:
            size = posix.get_terminal_size(end)
        except OSError:
            continue
        return sane(size)
    try:
        terminal = posix.open("/dev/tty", posix.O_RDONLY | posix.O_NOCTTY | posix.O_CLOEXEC)
    except OSError:
        return 80, 24
    try:
        return sane(posix.get_terminal_size(terminal))
    except OSError:
        return 80, 24
    finally:
        posix.close(terminal)


def sane(size: "posix.terminal_size") -> tuple[int, int]:
    """Return a size that one can print to: a terminal that was told none says 0 by 0."""
    return size.columns or 80, size.lines or 24


def limits() -> bytes:
    """Return the resource limits as the kernel writes them down; elsewhere than on Linux in the same form."""
    if sys.platform == "linux":
        try:
            table = posix.open("/proc/self/limits", posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return posix.read(table, 4096)
        finally:
            posix.close(table)
    import resource

    names = ((name, getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_"))
    return b"\n".join(b"%b  %d  %d" % (name.encode(), *resource.getrlimit(number)) for name, number in names)


def encode(text: str) -> bytes:
    """Return the bytes that the operating system knows a name by."""
    return text.encode(sys.getfilesystemencoding(), "surrogateescape")


def decode(name: bytes) -> str:
    """Return a name of the operating system's as text."""
    return name.decode(sys.getfilesystemencoding(), "surrogateescape")


def variable(name: str) -> str | None:
    """Return a variable of this process's environment."""
    value = posix.environ.get(name.encode())
    return None if value is None else decode(value)


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
