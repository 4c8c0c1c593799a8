"""Which file system a folder is on; those of a network are refused, for their locks cannot be trusted."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from nexus.schemas.errors import StorageUnsupported

NETWORK = frozenset(
    {
        *("afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"),
        *("orangefs", "smb2", "smb3", "smbfs", "webdav"),
        *("fuse.ceph", "fuse.ceph-fuse", "fuse.davfs2", "fuse.glusterfs", "fuse.goofys", "fuse.rclone", "fuse.s3fs"),
        *("fuse.sshfs", "fuse.juicefs", "osxfuse.sshfs", "macfuse.sshfs"),
    }
)
MOUNTS = Path("/proc/self/mountinfo")
MACOS_STATFS_BYTES = 2168
MACOS_TYPE_AT = 72
MACOS_TYPE_BYTES = 16


def filesystem_of(folder: Path) -> str:
    """Return the type of the file system, as mount(8) names it; empty where the system does not tell."""
    if sys.platform == "darwin":
        return _macos_type(folder)
    try:
        mounts = MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        mount, _, tail = line.partition(" - ")
        if mount.split(" ", 3)[2] == wanted:
            return tail.split(" ", 1)[0]
    return ""


def refuse_network(folder: Path, type_of: Callable[[Path], str] = filesystem_of) -> None:
    """Raise `StorageUnsupported` when the folder, which must exist, is on a network file system."""
    kind = type_of(folder)
    if kind in NETWORK:
        raise StorageUnsupported(path=str(folder), filesystem=kind)


def _macos_type(folder: Path) -> str:
    # struct statfs of <sys/mount.h>, 64-bit inodes: f_fstypename is 16 bytes at 72.
    import ctypes  # 6 ms, on this system only

    library = ctypes.CDLL(None, use_errno=True)
    statfs = getattr(library, "statfs$INODE64", None) or library.statfs
    buffer = ctypes.create_string_buffer(MACOS_STATFS_BYTES)
    if statfs(os.fsencode(folder), buffer) != 0:
        return ""
    return buffer.raw[MACOS_TYPE_AT : MACOS_TYPE_AT + MACOS_TYPE_BYTES].split(b"\0", 1)[0].decode("ascii", "replace")
