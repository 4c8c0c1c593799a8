"""A seccomp filter: the system calls that Landlock has no walls for, refused with EACCES.

Without the right to the network there are no sockets at all, but for pairs that are connected to each other; with it
those of the internet alone: by the Unix kind services of the user are reached, by others the machine's host. Without
the right to processes nothing is executed. Nobody looks into others, and nobody makes namespaces, in which an ordinary
user may do what root may.

Whose a file is, who may use it and when it was changed Landlock leaves to everybody: `supervised` holds that too.
"""

import ctypes
import errno
import os

from nexus.confinement.system import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 1 << 3, 1 << 5
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT = 0x15, 0x35, 0x45
_ALLOW, _ASK, _ERROR = 0x7FFF0000, 0x7FC00000, 0x00050000
_REFUSE, _UNKNOWN, _DONE = _ERROR | errno.EACCES, _ERROR | errno.ENOSYS, _ERROR
_NOT_OWNED, _NOT_HAD = _ERROR | errno.EPERM, _ERROR | errno.EOPNOTSUPP
_NUMBER_AT, _ARCH_AT = 0, 4
_ARGUMENTS_AT = (16, 24, 32, 40)
"""The lower halves of the first arguments."""
_X32 = 0x40000000
_INTERNET = (2, 10, 16)
"""AF_INET, AF_INET6, and AF_NETLINK, by which C libraries learn which of the two there is."""
_TYPE_OF_SOCKET, _SOCK_DGRAM = 0xF, 2
_NEW_NAMESPACES = 0x7E020000
_AS_IT_IS = 0xFFFFFFFF
_INTO_A_TERMINAL = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX, which type into a terminal for its user."""

_ARCHITECTURES: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "socket": 41, "socketpair": 53, "ioctl": 16, "clone": 56, "clone3": 435, "execve": 59, "execveat": 322,
            "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438,
            "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "bpf": 321,
            "perf_event_open": 298, "userfaultfd": 323, "keyctl": 250, "add_key": 248, "request_key": 249,
            "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "open_tree": 428, "move_mount": 429,
            "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
            "open_by_handle_at": 304, "unshare": 272, "setns": 308,
            "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65, "semctl": 66, "semtimedop": 220,
            "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "mq_open": 240, "mq_unlink": 241,
            "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
            "pidfd_send_signal": 424, "seccomp": 317,
            "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452,
            "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
            "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198,
            "fremovexattr": 199, "setxattrat": 463, "removexattrat": 466, "file_setattr": 469,
            "utimensat": 280, "utime": 132, "utimes": 235, "futimesat": 261,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "socket": 198, "socketpair": 199, "ioctl": 29, "clone": 220, "clone3": 435, "execve": 221, "execveat": 281,
            "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "pidfd_getfd": 438,
            "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "bpf": 280,
            "perf_event_open": 241, "userfaultfd": 282, "keyctl": 219, "add_key": 217, "request_key": 218,
            "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "open_tree": 428, "move_mount": 429,
            "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
            "open_by_handle_at": 265, "unshare": 97, "setns": 268,
            "shmget": 194, "shmat": 196, "shmctl": 195, "semget": 190, "semop": 193, "semctl": 191, "semtimedop": 192,
            "msgget": 186, "msgsnd": 189, "msgrcv": 188, "msgctl": 187, "mq_open": 180, "mq_unlink": 181,
            "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240,
            "pidfd_send_signal": 424, "seccomp": 277,
            "fchmod": 52, "fchmodat": 53, "fchmodat2": 452, "fchown": 55, "fchownat": 54,
            "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15,
            "fremovexattr": 16, "setxattrat": 463, "removexattrat": 466, "file_setattr": 469, "utimensat": 88,
        },
    ),
}  # fmt: skip

ASKED = frozenset({"chmod", "fchmod", "fchmodat", "fchmodat2", "utimensat"})
"""What changes modes and times."""
_OWNERS = {"chown": 1, "fchown": 1, "lchown": 1, "fchownat": 2}
"""At which argument the user is; the group is the next."""
_ATTRIBUTES = frozenset({
    "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "setxattrat", "removexattrat",
    "file_setattr",
})  # fmt: skip
_OLD_TIMES = frozenset({"utime", "utimes", "futimesat"})
_LOOKED_INTO = frozenset({"socket", "socketpair", "ioctl", "clone", "clone3", "seccomp"})
_HELD_BY_OWNERS = ASKED | _OWNERS.keys() | _ATTRIBUTES | _OLD_TIMES
_EXECUTING = frozenset({"execve", "execveat"})
_SHARING = frozenset({
    "shmget", "shmat", "shmctl", "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl",
    "mq_open", "mq_unlink",
})  # fmt: skip
_SIGNALLING = frozenset({
    "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal",
})  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def known() -> bool:
    """Say whether filters can be written for this machine."""
    return os.uname().machine in _ARCHITECTURES


def program(*, network: bool, processes: bool, sharing: bool = True, signals: bool = True) -> bytes:
    """Return the filter for this machine, as the kernel reads it. Raises `KeyError` where `known` does not.

    `sharing` and `signals` say whether memory is shared, and processes are signalled, by their numbers: where no
    namespace stands between, those are everybody's.
    """
    architecture, numbers = _ARCHITECTURES[os.uname().machine]
    allowed = set(_LOOKED_INTO | _HELD_BY_OWNERS)
    allowed |= _EXECUTING if processes else set()
    allowed |= _SHARING if sharing else set()
    allowed |= _SIGNALLING if signals else set()
    refused = [number for name, number in numbers.items() if name not in allowed]
    return _assembled(architecture, [*_plain(refused), *_looking(numbers, network)])


def restrict(*, network: bool, processes: bool, sharing: bool = True, signals: bool = True) -> bool:
    """Filter this process's system calls; say whether that was possible."""
    if not known():
        return False
    return _install(program(network=network, processes=processes, sharing=sharing, signals=signals), 0) == 0


def supervised(*, network: bool, signals: bool) -> "int | None":
    """Filter this process's system calls, and what is told of files beside their content; nothing is shared by number.

    Returns the open file by which somebody else is asked to change a mode or a time (`attributes`), -1 where nobody can
    be asked and none is changed, None where nothing can be filtered.
    """
    if not known():
        return None
    rest = program(network=network, processes=True, sharing=False, signals=signals)
    numbers = _ARCHITECTURES[os.uname().machine][1]
    asked = _install(_joined(_owning(numbers, _ASK), rest), _NEW_LISTENER | _WAIT_KILLABLE)
    if asked >= 0:
        return asked
    return -1 if _install(_joined(_owning(numbers, _NOT_OWNED), rest), 0) == 0 else None


def number_of(name: str) -> "int | None":
    """Return a system call's number on this machine, None where it has none."""
    return _ARCHITECTURES[os.uname().machine][1].get(name)


def _install(written: bytes, flags: int) -> int:
    """Stand behind the filter from here on; return what the kernel says, -1 where it refuses."""
    held = _Program(len(written) // 8, written)
    return int(libc.syscall(number_of("seccomp"), _SET_MODE_FILTER, flags, ctypes.byref(held)))


Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, value; jumps count what they skip."""
_HEAD = 6
"""The instructions that every filter begins with."""


def _plain(refused: list[int]) -> "Iterator[Instruction]":
    for number in refused:
        yield (_JUMP_EQUAL, 0, 1, number)
        yield (_RETURN, 0, 0, _REFUSE)


def _looking(numbers: dict[str, int], network: bool) -> "Iterator[Instruction]":
    """Look at arguments. Each piece ends behind itself, or with a return."""
    if network:
        known = [(_JUMP_EQUAL, left, 0, family) for left, family in zip((3, 2, 1), _INTERNET, strict=True)]
        yield from _where(numbers["socket"], 0, [*known, (_RETURN, 0, 0, _REFUSE)])
    else:
        yield from _plain([numbers["socket"]])
    # One of a pair of datagrams sends to any address that it is told; a stream has the other one alone.
    of_datagrams = [(_AND, 0, 0, _TYPE_OF_SOCKET), (_JUMP_EQUAL, 0, 1, _SOCK_DGRAM), (_RETURN, 0, 0, _REFUSE)]
    yield from _where(numbers["socketpair"], 1, of_datagrams)
    typing = [step for code in _INTO_A_TERMINAL for step in ((_JUMP_EQUAL, 0, 1, code), (_RETURN, 0, 0, _REFUSE))]
    yield from _where(numbers["ioctl"], 1, typing)
    yield from _where(numbers["clone"], 0, [(_JUMP_ANY_BIT, 0, 1, _NEW_NAMESPACES), (_RETURN, 0, 0, _REFUSE)])
    # Its flags are in memory, where no filter looks; C libraries go back to clone.
    yield (_JUMP_EQUAL, 0, 1, numbers["clone3"])
    yield (_RETURN, 0, 0, _UNKNOWN)


def _owning(numbers: dict[str, int], change: int) -> "Iterator[Instruction]":
    """Decide on modes and times by `change`. What has an owner keeps it, and nothing has attributes of its own."""
    for name, number in numbers.items():
        if name in ASKED or name in _ATTRIBUTES or name in _OLD_TIMES:
            yield (_JUMP_EQUAL, 0, 1, number)
            yield (_RETURN, 0, 0, change if name in ASKED else _NOT_HAD if name in _ATTRIBUTES else _NOT_OWNED)
        elif name in _OWNERS:
            at = _OWNERS[name]
            yield (_JUMP_EQUAL, 0, 8, number)
            yield (_LOAD, 0, 0, _ARGUMENTS_AT[at])
            yield (_JUMP_EQUAL, 1, 0, _AS_IT_IS)
            yield (_JUMP_EQUAL, 0, 4, os.geteuid())
            yield (_LOAD, 0, 0, _ARGUMENTS_AT[at + 1])
            yield (_JUMP_EQUAL, 1, 0, _AS_IT_IS)
            yield (_JUMP_EQUAL, 0, 1, os.getegid())
            yield (_RETURN, 0, 0, _DONE)
            yield (_RETURN, 0, 0, _NOT_OWNED)


def _joined(first: "Iterator[Instruction]", rest: bytes) -> bytes:
    """Put instructions behind the head of a filter, which has loaded the call's number."""
    return rest[: _HEAD * 8] + b"".join(_packed(instruction) for instruction in first) + rest[_HEAD * 8 :]


def _where(number: int, argument: int, piece: "list[Instruction]") -> "Iterator[Instruction]":
    """Run the piece on an argument of this call, and allow it where the piece does not refuse it."""
    yield (_JUMP_EQUAL, 0, len(piece) + 2, number)
    yield (_LOAD, 0, 0, _ARGUMENTS_AT[argument])
    yield from piece
    yield (_RETURN, 0, 0, _ALLOW)


def _assembled(architecture: int, body: "list[Instruction]") -> bytes:
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
    return b"".join(map(_packed, whole))


def _packed(instruction: Instruction) -> bytes:
    from struct import pack

    return pack("HBBI", *instruction)
