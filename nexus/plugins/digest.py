"""The hash of all that a plugin's folder holds: what trust is bound to."""

import hashlib
import os
import stat
from pathlib import Path

from nexus.plugins.stamps import files_below
from nexus.schemas.regular import open_regular

_PIECE = 1 << 20
MOST_BYTES = 256 << 20


class FolderUnreadable(ValueError):
    """A plugin's folder holds what cannot be hashed: something that is no file, or too much."""


def digest_of(folder: Path) -> str:
    """Return `sha256:…` over every file's path, mode and content; of a link, over where it leads.

    Raises `FolderUnreadable`, `FolderTooLarge`, `OSError`.
    """
    whole = hashlib.sha256()
    size = 0
    for name in files_below(folder):
        path = folder / name
        found = path.lstat()
        whole.update(f"{name}\0".encode("utf-8", "surrogateescape"))
        if stat.S_ISLNK(found.st_mode):
            whole.update(b"link\0" + os.fsencode(os.readlink(path)) + b"\0")
            continue
        if not stat.S_ISREG(found.st_mode):
            raise FolderUnreadable(f"{path} is no file")
        size += found.st_size
        if size > MOST_BYTES:
            raise FolderUnreadable(f"{folder} holds more than {MOST_BYTES >> 20} MiB")
        whole.update(b"%d\0" % found.st_size)
        with open_regular(path) as file:
            while piece := file.read(_PIECE):
                whole.update(piece)
    return f"sha256:{whole.hexdigest()}"
