"""Starting a program: in a terminal of its own or on pipes, with nothing inherited from the holder.

The holder has no threads, so it forks and prepares the child itself: session, controlling terminal, limits and folder,
which `subprocess` does not do together.
"""

import contextlib
import fcntl
import os
import resource
import signal
import struct
import termios
from dataclasses import dataclass
from typing import NoReturn

from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.targets import catchable

IUTF8 = 0x4000
"""The line discipline erases characters, not bytes. Python's `termios` has no name for it; the systems agree on it."""


@dataclass(slots=True)
class Ends:
    """The holder's ends of a started program; -1 is none.

    `slave` is kept open until the program ends, so that one that closes its terminal, and may open it again, is no end
    of output. `failure` tells what went wrong before the program ran, as `STAGE:ERRNO`; end of file means that it runs.
    """

    pid: int
    failure: int
    master: int = -1
    slave: int = -1
    stdin: int = -1
    stdout: int = -1
    stderr: int = -1

    def close(self) -> None:
        """Close every end that is still open."""
        for name in ("failure", "master", "slave", "stdin", "stdout", "stderr"):
            if (fd := getattr(self, name)) >= 0:
                os.close(fd)
                setattr(self, name, -1)


def window_size(fd: int, columns: int, rows: int) -> None:
    """Set a terminal's size; its foreground job is told by SIGWINCH if it changed."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def start(spec: ProgramSpec, size: tuple[int, int] | None) -> Ends:
    """Start the program and return the holder's ends of it. Raises `OSError` when no process or descriptor is left."""
    with contextlib.ExitStack() as undo:
        own, theirs = _open_terminal(size, undo) if size else _open_pipes(spec.stdin, undo)
        failure, failed = os.pipe()
        undo.callback(os.close, failure)
        # A signal between fork and exec would run the holder's handlers in the child.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            own.pid = os.fork()
            if own.pid == 0:
                _become(spec, theirs, size is not None, failed)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os.close(failed)
        own.failure = failure
        undo.pop_all()
    for fd in set(theirs) - {own.slave}:
        os.close(fd)
    for fd in (own.master, own.stdin, own.stdout, own.stderr, own.failure):
        if fd >= 0:
            os.set_blocking(fd, False)
    return own


def _open_terminal(size: tuple[int, int], undo: contextlib.ExitStack) -> tuple[Ends, tuple[int, int, int]]:
    master, slave = os.openpty()
    undo.callback(os.close, master)
    undo.callback(os.close, slave)
    attributes = termios.tcgetattr(slave)
    attributes[0] |= IUTF8
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    window_size(slave, *size)
    return Ends(-1, -1, master=master, slave=slave), (slave, slave, slave)


def _open_pipes(with_stdin: bool, undo: contextlib.ExitStack) -> tuple[Ends, tuple[int, int, int]]:
    stdout, their_stdout = _open_pipe(undo)
    stderr, their_stderr = _open_pipe(undo)
    if with_stdin:
        their_stdin, stdin = _open_pipe(undo)
    else:
        their_stdin, stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1
        undo.callback(os.close, their_stdin)
    return Ends(-1, -1, stdin=stdin, stdout=stdout, stderr=stderr), (their_stdin, their_stdout, their_stderr)


def _open_pipe(undo: contextlib.ExitStack) -> tuple[int, int]:
    reading, writing = os.pipe()
    undo.callback(os.close, reading)
    undo.callback(os.close, writing)
    return reading, writing


def _become(spec: ProgramSpec, ends: tuple[int, int, int], terminal: bool, failed: int) -> NoReturn:
    """Turn this forked child into the program; on failure say where and why, and exit."""
    stage = "session"
    try:
        os.setsid()
        if terminal:
            fcntl.ioctl(ends[0], termios.TIOCSCTTY, 0)
        for number, fd in enumerate(ends):
            os.dup2(fd, number)
        for number in catchable():
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        stage = "limits"
        for limit, (soft, hard) in spec.limits.items():
            _limit(limit, soft, hard)
        stage = "folder"
        os.umask(spec.umask)
        _enter(spec)
        stage = "program"
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(spec.argv[0], spec.argv, dict(spec.environment))  # noqa: S606 -- a shell is not wanted
    except OSError as error:
        os.write(failed, f"{stage}:{error.errno}".encode())
    except (ValueError, UnicodeError):  # a NUL byte, or what the file system's encoding cannot say
        os.write(failed, f"{stage}:22".encode())
    finally:
        os._exit(127)


def _limit(number: int, soft: int, hard: int) -> None:
    """Set one limit, as far as ours allow: a command cannot have had more than its user may."""
    _, most = resource.getrlimit(number)
    if most != resource.RLIM_INFINITY:
        hard = most if hard == resource.RLIM_INFINITY else min(hard, most)
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
    with contextlib.suppress(ValueError):  # macOS refuses what it calls invalid
        resource.setrlimit(number, (soft, hard))


def _enter(spec: ProgramSpec) -> None:
    os.chdir(spec.cwd)
    if spec.folder_identity is not None:
        here = os.stat(".")
        if (here.st_dev, here.st_ino) != spec.folder_identity:
            raise FileNotFoundError(2, "another folder took this name")
