"""Landlock, walls for unprivileged processes of Linux (docs.kernel.org/userspace-api/landlock.html), by system calls.

What is not granted below is refused by the kernel, to native code as to Python, and to all that the process starts.
"""

import ctypes
import os

from nexus.confinement.system import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    # typing and collections take longer to import than the walls to make.
    from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_ALL_TCP = 3
_SIGNALS, _ALL_SCOPES = 2, 3


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the version of Landlock that this kernel speaks, 0 where it has none."""
    return max(0, int(libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)))


def restrict(
    read: "Iterable[str]",
    write: "Iterable[str]",
    listed: "Iterable[str]",
    *,
    network: bool,
    execute: bool,
    scoped: bool,
) -> bool:
    """Leave only these paths, and TCP only with `network`; say whether the kernel does that.

    With `execute`, what may be read may be run. With `scoped`, processes outside are neither signalled nor reached by
    an abstract socket, where the kernel can hold that (version 6).
    """
    abi = version()
    if abi < 1:
        return False
    handled = _RIGHTS_BY_ABI[min(abi, 5)]
    ruleset = _Ruleset(
        handled,
        _ALL_TCP if abi >= 4 and not network else 0,
        _ALL_SCOPES if abi >= 6 and scoped else 0,
    )
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    descriptor = libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    if descriptor < 0:
        return False
    try:
        reading = _READ_FILE | _READ_DIR | (_EXECUTE if execute else 0)
        for path in read:
            _allow(descriptor, path, reading & handled)
        for path in listed:
            _allow(descriptor, path, _READ_DIR)
        for path in write:
            _allow(descriptor, path, handled)
        _allow(descriptor, os.devnull, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & handled)
        return bool(libc.syscall(_RESTRICT_SELF, descriptor, 0) == 0)
    finally:
        os.close(descriptor)


def scope_signals() -> bool:
    """Signal from here on nobody but what this process starts; say whether the kernel does that (version 6)."""
    if version() < 6:
        return False
    ruleset = _Ruleset(0, 0, _SIGNALS)
    descriptor = libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), 24, 0)
    if descriptor < 0:
        return False
    try:
        return bool(libc.syscall(_RESTRICT_SELF, descriptor, 0) == 0)
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Grant what is there; a path that is not there is nobody's."""
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = _PathBeneath(rights, parent)
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)
