"""Tries to get out of a sandbox, in every way named below; prints which of them worked. Run as a step's program.

Its first argument is a file with what is to be attacked; others are words with which the names of attacks begin.
"""

import ctypes
import errno
import json
import os
import platform
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_USER, NEW_NAMESPACE = 0x10000000, 0x00020000
NUMBERS = {
    "x86_64": {"clone": 56, "clone3": 435, "ptrace": 101, "io_uring_setup": 425, "bpf": 321, "keyctl": 250,
               "mount": 165, "unshare": 272, "setns": 308, "userfaultfd": 323, "perf_event_open": 298,
               "process_vm_readv": 310, "fsopen": 430, "shmget": 29, "pidfd_getfd": 438},
    "aarch64": {"clone": 220, "clone3": 435, "ptrace": 117, "io_uring_setup": 425, "bpf": 280, "keyctl": 219,
                "mount": 40, "unshare": 97, "setns": 268, "userfaultfd": 282, "perf_event_open": 241,
                "process_vm_readv": 270, "fsopen": 430, "shmget": 194, "pidfd_getfd": 438},
}[platform.machine()]  # fmt: skip


def call(name: str, *arguments: Any) -> int:
    """Make a system call. Raises `OSError`."""
    done = LIBC.syscall(NUMBERS[name], *arguments)
    if done < 0:
        raise OSError(ctypes.get_errno(), name)
    return int(done)


def in_child(name: str, *arguments: Any) -> None:
    """Make a call that would change this process, in a child of it. Raises `OSError`."""
    pid = os.fork()
    if pid == 0:
        try:
            call(name, *arguments)
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, name)


def cloned() -> None:
    """Make a process in a user namespace of its own, in which it would be root."""
    pid = call("clone", NEW_USER | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def connects(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as end:
        end.settimeout(5)
        end.connect(address)


def datagram(address: str) -> None:
    """Send from one of a pair to somebody else."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"x", address)


def reads(path: str) -> None:
    Path(path).read_bytes()


def writes(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"x")


def opens(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY))


def makes(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.unlink(path)


def by_link(path: str) -> None:
    link = Path(f"link{abs(hash(path))}")
    link.symlink_to(path)
    reads(str(link))


def by_second_name(path: str) -> None:
    second = f"second{abs(hash(path))}"
    os.link(path, second)
    reads(second)


def through_a_folder(folder: str) -> None:
    Path("way").symlink_to(folder)
    writes("way/left-behind")


def changes_user() -> None:
    os.setuid(65534 if os.getuid() == 0 else 0)


def gains() -> None:
    """Be more than one was by a program whose owner lends itself."""
    held = (ctypes.c_uint32 * 6)()
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    LIBC.capget(header, held)
    if not any(held) and LIBC.prctl(39, 0, 0, 0, 0) == 1:
        raise PermissionError(errno.EPERM, "no capability is held, and none is gained")


def types() -> None:
    """Type a key into the terminal that this was started from."""
    if LIBC.ioctl(0, 0x5412, b"x") < 0:
        raise OSError(ctypes.get_errno(), "ioctl")


def signals_by_handle(pid: int) -> None:
    import signal

    signal.pidfd_send_signal(os.pidfd_open(pid), 0)


def lists(folder: str, name: str) -> None:
    """List a folder; that it has only the way to one's own is no list of it."""
    if name not in os.listdir(folder):
        raise FileNotFoundError(errno.ENOENT, "not listed")


def sees(pid: int) -> None:
    if str(pid) not in os.listdir("/proc"):
        raise FileNotFoundError(errno.ENOENT, "not listed")


def attacks(of: dict[str, Any]) -> dict[str, Callable[[], object]]:
    """Return what is tried, by its name."""
    victim, secret, given = of["victim"], of["secret"], of["given"]
    size = struct.pack("IIIIIIII", 0, 64, 0, 0, 0, 0, 0, 0) + bytes(96)
    return {
        "read the kernel's secret": lambda: reads(secret),
        "read the kernel's database": lambda: reads(of["database"]),
        "read a configuration": lambda: reads(of["configuration"]),
        "read somebody's key": lambda: reads(of["key"]),
        "read another step's folder": lambda: reads(of["other"]),
        "read passwords": lambda: reads("/etc/shadow"),
        "list the kernel's folder": lambda: lists(of["folder"], Path(secret).name),
        "list a home": lambda: os.listdir(of["home"]),
        "read by a link": lambda: by_link(secret),
        "read by a second name": lambda: by_second_name(secret),
        "read by a way up": lambda: reads("../" * 40 + secret),
        "read by the root of another": lambda: reads(f"/proc/{victim}/root{secret}"),
        "read by the folder of another": lambda: os.listdir(f"/proc/{victim}/cwd/"),
        "write the kernel's database": lambda: writes(of["database"]),
        "write outside": lambda: writes(of["outside"]),
        "write by a link": lambda: through_a_folder(of["home"]),
        "write an input": lambda: writes(given),
        "empty an input": lambda: os.truncate(given, 0),
        "remove an input": lambda: os.unlink(given),
        "replace an input": lambda: os.rename(given, given + ".old"),
        "make an input writable": lambda: (os.chmod(given, 0o777), writes(given)),
        "write a program": lambda: makes("/usr/bin/nexus-was-here"),
        "open the kernel's secret to others": lambda: os.chmod(secret, 0o644),
        "open an input by its handle": lambda: os.fchmod(os.open(given, os.O_RDONLY), 0o666),
        "give an input away": lambda: os.chown(given, 12345, -1),
        "change the times of a key": lambda: os.utime(of["key"], (0, 0)),
        "change the times of an input": lambda: os.utime(given, (0, 0)),
        "mark an input": lambda: os.setxattr(given, "user.mark", b"x"),
        "reach the kernel's socket": lambda: connects(socket.AF_UNIX, of["socket"]),
        "reach an abstract socket": lambda: connects(socket.AF_UNIX, of["abstract"]),
        "reach a datagram socket": lambda: datagram(of["datagrams"]),
        "reach the machine's host": lambda: connects(socket.AF_VSOCK, (2, 9)),
        "reach the machine's ciphers": lambda: socket.socket(38, socket.SOCK_SEQPACKET, 0).close(),
        "command the system": lambda: opens("/proc/sysrq-trigger"),
        "set the system": lambda: opens("/proc/sys/kernel/core_pattern"),
        "reach the network": lambda: connects(socket.AF_INET, ("127.0.0.1", of["port"])),
        "see another process": lambda: sees(victim),
        "read another's environment": lambda: reads(f"/proc/{victim}/environ"),
        "read another's command": lambda: reads(f"/proc/{victim}/cmdline"),
        "signal another process": lambda: os.kill(victim, 0),
        "signal by a handle": lambda: signals_by_handle(victim),
        "trace another process": lambda: call("ptrace", 16, victim, 0, 0),
        "read another's memory": lambda: call("process_vm_readv", victim, 0, 0, 0, 0, 0),
        "become another user": changes_user,
        "gain by a program": gains,
        "mount": lambda: call("mount", b"none", b".", b"tmpfs", 0, 0),
        "mount in the new way": lambda: call("fsopen", b"tmpfs", 0),
        "make a user namespace": lambda: in_child("unshare", NEW_USER),
        "make a mount namespace": lambda: in_child("unshare", NEW_NAMESPACE),
        "clone a user namespace": cloned,
        "clone in the new way": lambda: call("clone3", 0, 0),
        "enter a namespace": lambda: in_child("setns", os.open("/proc/self/ns/uts", os.O_RDONLY), 0),
        "change the root": lambda: os.chroot("/usr"),
        "set up a ring": lambda: call("io_uring_setup", 2, bytes(120)),
        "load a program of the system": lambda: call("bpf", 0, size, len(size)),
        "use keys": lambda: call("keyctl", 0, -3, 0),
        "handle faults": lambda: call("userfaultfd", 1),
        "watch the processor": lambda: call("perf_event_open", size, 0, -1, -1, 0),
        "type into the terminal": types,
    }


def main() -> None:
    of = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    told = {}
    tried = {name: attack for name, attack in attacks(of).items() if name.startswith(tuple(sys.argv[2:] or [""]))}
    for name, attack in tried.items():
        try:
            attack()
            told[name] = None
        except OSError as error:
            told[name] = errno.errorcode.get(error.errno or 0, str(error))
    print(json.dumps(told))


main()
