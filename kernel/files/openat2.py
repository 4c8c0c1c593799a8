"""openat2(2), which the C library does not offer: a path opened beneath a folder by one system call."""

import ctypes
import errno
import os

OPENAT2 = 437
"""The number of the system call, one for every architecture."""

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08
MOST_TRIES = 16


class _How(ctypes.Structure):
    """`struct open_how`."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def openat2(folder: int, path: str, flags: int) -> int:
    """Open a path that the system itself holds inside the folder. Raises `OSError`, EXDEV for one that leaves."""
    how = _How(flags | os.O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    number = errno.EAGAIN
    for _ in range(MOST_TRIES):
        descriptor: int = _syscall(
            *(ctypes.c_long(OPENAT2), ctypes.c_int(folder), os.fsencode(path)),
            *(ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))),
        )
        if descriptor >= 0:
            return descriptor
        number = ctypes.get_errno()
        # EAGAIN: something above was renamed while a `..` was resolved, and the system will not guess.
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), path)
