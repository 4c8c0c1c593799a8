"""A step without a namespace of processes: two processes stand by it, so that it ends whole, and with who started it.

The first one is who started the step's child: it passes signals on. The second one is out of reach of those that are
meant for the first one's group and session; whatever the step leaves behind becomes its child, and ends with the step.
It may be asked, too, what the step's filter does not decide itself.
"""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import _socket
import os
import sys
from select import POLLIN, poll

from nexus.confinement.system import SIGKILL, adopt_orphans, end_with_parent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

    HandOver = Callable[[int], None]
    Become = Callable[[HandOver], NoReturn]
    Answering = Callable[[int], Callable[[], None]]

RELAYED = tuple(
    getattr(_signal, f"SIG{name}") for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "CONT", "WINCH")
)
_FAULT, _KILLED = 125, 128 + SIGKILL


def status_of(waited: int) -> int:
    """Return the exit status that tells how a process ended: its own, or 128 and the number of its signal."""
    return 128 + os.WTERMSIG(waited) if os.WIFSIGNALED(waited) else os.WEXITSTATUS(waited)


def stand_by(become: "Become", answering: "Answering", *, scoped: bool) -> "NoReturn":
    """Have a child `become` the step, and end as it ends. Must be called by a process without threads.

    An open file that the child hands over is given to `answering`, and what that returns is called whenever there is
    something to be read from it. A `scoped` step may not signal others, so that all of it can be ended at once.
    """
    waited_for = (*RELAYED, _signal.SIGCHLD)
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, waited_for)
    reading, writing = os.pipe()
    if (guard := os.fork()) == 0:
        os.close(writing)
        _guard(reading, before, become, answering, scoped=scoped)
    os.close(reading)
    os.set_blocking(writing, False)
    while True:
        number = _signal.sigwait(waited_for)
        if number != _signal.SIGCHLD:
            _pass_on(writing, number)
            continue
        ended, waited = os.waitpid(guard, os.WNOHANG)
        if ended:
            os._exit(status_of(waited))


def _pass_on(writing: int, number: int) -> None:
    try:
        os.write(writing, bytes((number,)))
    except OSError:
        # So many wait already that one more says nothing new, or the guard is ending.
        return


def _guard(first: int, before: "set[int]", become: "Become", answering: "Answering", *, scoped: bool) -> "NoReturn":
    """Start the step, and end all of it when it ends, or when nothing can be read from the `first` process."""
    os.setsid()
    adopt_orphans()
    at_once = scoped and _reaches_no_other()
    woken, wake = os.pipe()
    for end in (woken, wake, first):
        os.set_blocking(end, False)
    _signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    taking, giving = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    if (step := os.fork()) == 0:
        os.setpgid(0, 0)
        end_with_parent()
        _default_signals(before)
        become(lambda handed: _hand_over(giving, handed))
    giving.close()
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGCHLD,))
    try:
        status = _watch(step, first, woken, _Questions(taking, answering))
    except Exception as fault:  # noqa: BLE001 -- told, and whatever it is, nothing of the step is left
        os.write(2, f"nexus: {fault!r}\n".encode("utf-8", "backslashreplace"))
        status = _FAULT
    _end_all(at_once=at_once)
    os._exit(status)


def _reaches_no_other() -> bool:
    """Signal nobody outside from here on; say whether that is so, by trying."""
    from nexus.confinement.landlock import scope_signals
    from nexus.confinement.system import give_up_privileges

    give_up_privileges()
    if not scope_signals():
        return False
    try:
        # Of the same user, and outside: nothing else forbids this.
        os.kill(os.getppid(), 0)
    except PermissionError:
        return os.getppid() != 1
    return False


def _default_signals(mask: "set[int]") -> None:
    _signal.set_wakeup_fd(-1)
    # A Python ignores two of these, and handles the third; what else is handled is forgotten when a program begins.
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)


def _watch(step: int, first: int, woken: int, questions: "_Questions") -> int:
    """Pass signals on until the step ends, and return its status: as if it were killed, if its starter has gone."""
    events = poll()
    for end in (first, woken, questions.end):
        events.register(end, POLLIN)
    while True:
        status = _reaped(step)
        if status is not None:
            return status
        ready = dict(events.poll())
        if questions.end in ready:
            events.unregister(questions.end)
            if questions.take(ready[questions.end]):
                events.register(questions.end, POLLIN)
        _drained(woken)
        told = _drained(first)
        if told == b"":
            return _KILLED
        for number in told or ():
            _send(step, number)


def _hand_over(giving: "_socket.socket", handed: int) -> None:
    giving.sendmsg([b"0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, handed.to_bytes(4, sys.byteorder))])


class _Questions:
    """What the step's filter asks, once its open file has come by the socket."""

    def __init__(self, taking: "_socket.socket", answering: "Answering") -> None:
        self._taking = taking
        self._answering = answering
        self._answer: Callable[[], None] | None = None
        self.end = taking.fileno()

    def take(self, told: int) -> bool:
        """Take what is there; say whether more may come."""
        if not told & POLLIN:
            return False
        if self._answer is not None:
            self._answer()
            return True
        _, ancillary, _, _ = self._taking.recvmsg(1, _socket.CMSG_LEN(4))
        for _, _, data in ancillary:
            self.end = int.from_bytes(data[:4], sys.byteorder)
            self._answer = self._answering(self.end)
        return self._answer is not None


def _reaped(step: int) -> "int | None":
    """Take in all that has ended; return the step's own status if it is among it."""
    while True:
        ended, waited = os.waitpid(-1, os.WNOHANG)
        if ended == step:
            return status_of(waited)
        if ended == 0:
            return None


def _drained(end: int) -> "bytes | None":
    """Return what is there to be read, None if nothing is, nothing at its end."""
    try:
        return os.read(end, 4096)
    except BlockingIOError:
        return None


def _send(step: int, number: int) -> None:
    for send in (os.killpg, os.kill):
        try:
            send(step, number)
        except (ProcessLookupError, PermissionError):
            # It has no group of its own yet, or has ended: it is reaped next.
            continue
        return


def _end_all(*, at_once: bool) -> None:
    """Kill what is left, and what that leaves, until nothing is.

    `at_once` is everybody whom this process may signal: who forks faster than it is looked for is found by that alone.
    """
    while True:
        for child in (-1,) if at_once else _children():
            try:
                os.kill(child, SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> "Iterator[int]":
    own = os.getpid()
    try:
        with open(f"/proc/self/task/{own}/children", "rb") as file:
            yield from map(int, file.read().split())
    except OSError:
        # A kernel without that file has it in every process's own.
        yield from (pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == own)


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
