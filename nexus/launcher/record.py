"""What the resident writes into the lock file that it holds: its pid, its instance name and its socket."""

import posix

from nexus.launcher.process import decode, encode


class Record:
    """Valid while the lock is held."""

    __slots__ = ("instance", "pid", "socket")

    def __init__(self, pid: int, instance: bytes, socket: str) -> None:
        self.pid = pid
        self.instance = instance
        self.socket = socket


def read_record(path: str) -> Record | None:
    """Return the record; None when there is none, or none that is whole."""
    try:
        file = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW)
    except OSError:
        return None
    try:
        pid, instance, socket = posix.read(file, 4096).split(b"\n", 3)[:3]
        return Record(int(pid), instance, decode(socket))
    except (OSError, ValueError):
        return None
    finally:
        posix.close(file)


def write_record(lock: int, record: Record) -> None:
    """Write a record into a lock file that is held."""
    content = b"%d\n%b\n%b\n" % (record.pid, record.instance, encode(record.socket))
    posix.ftruncate(lock, 0)
    posix.pwrite(lock, content, 0)
