"""A seccomp filter: the system calls that Landlock has no walls for, refused with EACCES.

Without the right to the network there are no sockets at all; with it still none of the Unix kind, by which services of
the user are reached. Without the right to processes nothing is executed.
"""

import ctypes
import errno
import os
import struct

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_X32 = 0x40000000
_AF_UNIX = 1

_ARCHITECTURES: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "socket": 41, "execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310,
            "process_vm_writev": 311, "io_uring_setup": 425, "bpf": 321, "keyctl": 250, "add_key": 248,
            "request_key": 249, "mount": 165, "unshare": 272, "setns": 308, "userfaultfd": 323,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "socket": 198, "execve": 221, "execveat": 281, "ptrace": 117, "process_vm_readv": 270,
            "process_vm_writev": 271, "io_uring_setup": 425, "bpf": 280, "keyctl": 219, "add_key": 217,
            "request_key": 218, "mount": 40, "unshare": 97, "setns": 268, "userfaultfd": 282,
        },
    ),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict(*, network: bool, processes: bool) -> bool:
    """Filter this process's system calls; say whether that was possible."""
    known = _ARCHITECTURES.get(os.uname().machine)
    if known is None:
        return False
    architecture, numbers = known
    refused = [
        number
        for name, number in numbers.items()
        if not (name == "socket" and network) and not (name in ("execve", "execveat") and processes)
    ]
    program = _assembled(architecture, refused, numbers["socket"] if network else None)
    libc = ctypes.CDLL(None, use_errno=True)
    held = _Program(len(program) // 8, program)
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(held), 0, 0) == 0)


def _assembled(architecture: int, refused: list[int], unix_only: int | None) -> bytes:
    """Write the filter. Each instruction is (code, jump if true, jump if false, value); jumps count what they skip."""
    body: list[tuple[int, int, int, int]] = []
    for number in refused:
        body += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    if unix_only is not None:
        body += [
            (_JUMP_EQUAL, 0, 3, unix_only),
            (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
            (_JUMP_EQUAL, 0, 1, _AF_UNIX),
            (_RETURN, 0, 0, _REFUSE),
        ]
    whole = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER_AT),
        # Calls of the x32 interface have other numbers for the same.
        (_JUMP_GREATER_EQUAL, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE),
        *body,
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in whole)
