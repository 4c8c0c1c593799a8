"""Where a holder lives: one folder of one user, with its lock, its socket, its log and the spools of its programs."""

import hashlib
import os
import re
import socket
import stat
import struct
import sys
from dataclasses import dataclass

LONGEST_SOCKET = 100
"""Bytes of a socket's path that every system takes."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class PlaceUnsafe(Exception):
    """A folder or socket that is not ours alone."""


@dataclass(frozen=True, slots=True)
class HolderPlace:
    """`folder` is the holder's own, below the state folder. Raises nothing until it is used."""

    folder: str

    @property
    def lock(self) -> str:
        return os.path.join(self.folder, "lock")

    @property
    def log(self) -> str:
        return os.path.join(self.folder, "log")

    @property
    def spools(self) -> str:
        return os.path.join(self.folder, "spools")

    @property
    def socket(self) -> str:
        """The socket's path; a hashed one in the user's temporary folder where the own one is too long."""
        path = os.path.join(self.folder, "socket")
        if len(os.fsencode(path)) <= LONGEST_SOCKET:
            return path
        digest = hashlib.sha256(os.fsencode(os.path.realpath(self.folder))).hexdigest()[:20]
        return f"/tmp/nexus-{os.getuid()}/holder-{digest}"  # noqa: S108 -- owner and mode are checked in `prepare`

    def spool(self, name: str) -> str:
        """The folder of one program's spool. Raises `ValueError` for a name that is none."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} names no program")
        return os.path.join(self.spools, name)

    def names(self) -> list[str]:
        """The programs that have a spool."""
        try:
            return sorted(name for name in os.listdir(self.spools) if _NAME.fullmatch(name))
        except FileNotFoundError:
            return []

    def prepare(self) -> None:
        """Make the folders, for this user alone. Raises `PlaceUnsafe` when one is a link or somebody else's."""
        for folder in (self.folder, self.spools, os.path.dirname(self.socket)):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            facts = os.lstat(folder)
            if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
                raise PlaceUnsafe(f"{folder} is not a folder of this user")
            if facts.st_mode & 0o077:
                os.chmod(folder, 0o700)


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end of a Unix socket, as the system knows it."""
    if sys.platform == "darwin":
        credentials = connection.getsockopt(0, 0x001, 76)  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred
        _version, uid = struct.unpack_from("II", credentials)
    else:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _pid, uid, _gid = struct.unpack("3i", credentials)
    return int(uid)
