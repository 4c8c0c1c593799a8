"""Changes of files' modes and times, made for a step behind Landlock in the folders that it may write only.

Landlock lets a process change those of any file of its user. A filter asks here instead (seccomp_unotify(2)): the
file is opened, then looked where it is, then changed, so that nothing can be put in its place between.
"""

import errno
import os
from ctypes import get_errno
from fcntl import ioctl
from os.path import realpath
from struct import calcsize, pack, unpack

from nexus.confinement import reach, seccomp
from nexus.confinement.system import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102
_NOTICE, _ANSWER = "QIIiIQ6Q", "QqiI"
_AT_CWD = -100
_NO_FOLLOW, _EMPTY_PATH = 0x100, 0x1000
_LONGEST, _TIMES = 4096, 32
_GRANTED = 0o1777
"""Nobody becomes somebody else by a step's files."""


class Attributes:
    """Answers what the filter asks by `listener`, for files below the `writable` folders."""

    def __init__(self, listener: int, writable: "Iterable[str]") -> None:
        self._listener = listener
        self._writable = [realpath(path) for path in writable]
        self._numbers = {seccomp.number_of(name): name for name in seccomp.ASKED}

    def answer(self) -> None:
        """Answer one question; who asked may be gone."""
        notice = bytearray(calcsize(_NOTICE))
        try:
            ioctl(self._listener, _RECEIVE, notice)
        except OSError:
            return
        asked, pid, _, number, _, _, *arguments = unpack(_NOTICE, notice)
        try:
            self._change(asked, pid, self._numbers[number], arguments)
            failure = 0
        except OSError as error:
            failure = error.errno or errno.EPERM
        try:
            ioctl(self._listener, _SEND, pack(_ANSWER, asked, 0, -failure, 0))
        except OSError:
            return

    def _change(self, asked: int, pid: int, name: str, arguments: list[int]) -> None:
        folder = _AT_CWD if name == "chmod" else _descriptor(arguments.pop(0))
        address = 0 if name == "fchmod" else arguments.pop(0)
        value = arguments[0]
        flags = arguments[1] if name in ("fchmodat2", "utimensat") else 0
        path, flags = (_text(pid, address), flags) if address else (b"", _EMPTY_PATH)
        times = _memory(pid, value, _TIMES) if name == "utimensat" and value else None
        found = _opened(pid, folder, path, flags)
        try:
            place = os.readlink(f"/proc/self/fd/{found}")
            if not any(reach.below(place, folder) for folder in self._writable):
                raise PermissionError(errno.EPERM, place)
            # What was read of the process was its own if it still waits.
            ioctl(self._listener, _IS_VALID, pack("Q", asked))
            if name != "utimensat":
                os.chmod(f"/proc/self/fd/{found}", value & _GRANTED)
            elif libc.utimensat(found, b"", times, _EMPTY_PATH) != 0:
                raise OSError(get_errno(), place)
        finally:
            os.close(found)


def _opened(pid: int, folder: int, path: bytes, flags: int) -> int:
    """Open what the process means by the path, to be neither read nor written."""
    how = os.O_PATH | os.O_CLOEXEC | (os.O_NOFOLLOW if flags & _NO_FOLLOW else 0)
    for own in (b"/proc/self/", b"/proc/thread-self/"):
        if path.startswith(own):
            path = b"/proc/%d/" % pid + path[len(own) :]
    if path.startswith(b"/"):
        return os.open(path, how)
    place = f"/proc/{pid}/cwd" if folder == _AT_CWD else f"/proc/{pid}/fd/{folder}"
    here = os.open(place, os.O_PATH | os.O_CLOEXEC)
    if not path and flags & _EMPTY_PATH:
        return here
    try:
        return os.open(path, how, dir_fd=here)
    finally:
        os.close(here)


def _text(pid: int, address: int) -> bytes:
    """Read a path from a process's memory."""
    text, ended, _ = _memory(pid, address, _LONGEST).partition(b"\0")
    if not ended:
        raise OSError(errno.ENAMETOOLONG, "path")
    return text


def _memory(pid: int, address: int, most: int) -> bytes:
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(memory, most, address)
    finally:
        os.close(memory)


def _descriptor(argument: int) -> int:
    """Read an argument as the signed number that it is."""
    low = argument & 0xFFFFFFFF
    return low - (1 << 32) if low & (1 << 31) else low
