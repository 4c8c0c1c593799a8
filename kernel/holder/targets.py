"""Whom a signal reaches: a program, its group, the foreground job of its terminal, everyone in its session."""

import contextlib
import os
import signal
import subprocess
import sys
import termios


def send_group(group: int, number: int) -> None:
    """Signal a process group; that nobody is left in it, or that they are another user's, is no error."""
    if group > 1:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def send_session(leader: int, number: int) -> None:
    """Signal every process of the session that `leader` began, background jobs and orphans among them."""
    send_group(leader, number)
    for pid in _processes():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader:
                os.kill(pid, number)


def _processes() -> list[int]:
    if sys.platform == "linux":
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    listing = subprocess.run(["/bin/ps", "-A", "-o", "pid="], capture_output=True, check=False, timeout=5)
    return [int(word) for word in listing.stdout.split()]


def foreground(terminal: int) -> int:
    """The process group in the terminal's foreground, 0 when there is none."""
    if terminal < 0:
        return 0
    try:
        return os.tcgetpgrp(terminal)
    except OSError:
        return 0


def interrupt_key(terminal: int) -> bytes | None:
    """The key that interrupts, as the terminal is set; None when it passes keys on (raw mode)."""
    try:
        attributes = termios.tcgetattr(terminal)
    except (OSError, termios.error):
        return None
    key = attributes[6][termios.VINTR]
    if not attributes[3] & termios.ISIG or not isinstance(key, bytes) or key == b"\0":
        return None
    return key


def ended(pid: int) -> tuple[int | None, int | None] | None:
    """(exit code, signal) of a child that has ended, else None. Where the system can, the child stays a zombie."""
    try:
        if hasattr(os, "waitid"):
            info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if info is None:
                return None
            return (info.si_status, None) if info.si_code == os.CLD_EXITED else (None, info.si_status)
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None, None
    if not reaped:
        return None
    return (None, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (os.WEXITSTATUS(status), None)


def reap(pid: int) -> None:
    """Let a child that `ended` reported go."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def catchable() -> set[int]:
    """The signals that a process may set to something else."""
    return {int(number) for number in signal.valid_signals()} - {signal.SIGKILL, signal.SIGSTOP}
