"""Opening a path that may not leave a folder: `openat2` where the system has it, a walk by hand everywhere else.

Both follow links that stay inside and refuse the others, absolute ones among them. Both raise `OSError`: EXDEV for a
path that leaves, ELOOP for links without an end.
"""

import errno
import os
import sys
from collections.abc import Callable
from functools import cache

Beneath = Callable[[int, str, int], int]
"""`(folder's descriptor, relative path, flags) -> descriptor`, which is the caller's to close."""

MOST_LINKS = 40
MOST_TRIES = 16
# Enough to look names up below a folder, even one that may not be listed.
SEARCH = getattr(os, "O_PATH", getattr(os, "O_SEARCH", os.O_RDONLY)) | os.O_DIRECTORY | os.O_CLOEXEC


@cache
def best() -> Beneath:
    """Return `openat2` where the system has it and lets us call it, else `walk`."""
    if sys.platform != "linux":
        return walk
    # ctypes takes 6 ms, and a kernel that touches no file needs none.
    from nexus.kernel.files.openat2 import openat2

    root = os.open("/", SEARCH)
    try:
        os.close(openat2(root, ".", SEARCH))
    except OSError:
        return walk
    finally:
        os.close(root)
    return openat2


def walk(folder: int, path: str, flags: int) -> int:
    """Open a name at a time, none by following it: links are read and resolved here."""
    return _Walk(folder).open(path, flags | os.O_CLOEXEC)


class _Walk:
    """One resolution: the names from the root to the folder that it has reached, so that `..` finds the way back."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.names: list[str] = []
        self.links = 0

    def open(self, path: str, flags: int) -> int:
        pending = _parts(path)
        here = self._reopen()
        try:
            while pending:
                name = pending.pop()
                last = not pending
                if name == ".":
                    continue
                if name == "..":
                    below = self._parent()
                elif last and flags & os.O_NOFOLLOW:
                    return os.open(name, flags, dir_fd=here)
                else:
                    found = self._enter(here, name, flags if last else SEARCH, pending)
                    if found is None:
                        continue
                    if last:
                        return found
                    self.names.append(name)
                    below = found
                os.close(here)
                here = below
            return os.open(".", flags, dir_fd=here)
        finally:
            os.close(here)

    def _enter(self, here: int, name: str, flags: int, pending: list[str]) -> int | None:
        """Open a name; when it is a link, put what it says before the pending names and return None."""
        for _ in range(MOST_TRIES):
            target = link_target(here, name)
            if target is not None:
                self._follow(target, pending)
                return None
            try:
                return os.open(name, flags | os.O_NOFOLLOW, dir_fd=here)
            except OSError:
                # It may have become a link since it was looked at: then look again.
                if link_target(here, name) is None:
                    raise
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), name)

    def _follow(self, target: str, pending: list[str]) -> None:
        self.links += 1
        if self.links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), target)
        if target.startswith("/"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), target)
        pending.extend(_parts(target))

    def _parent(self) -> int:
        if not self.names:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), "..")
        self.names.pop()
        return self._reopen()

    def _reopen(self) -> int:
        """Open the folder that the names lead to, from the root."""
        here = os.open(".", SEARCH, dir_fd=self.root)
        for name in self.names:
            try:
                below = os.open(name, SEARCH | os.O_NOFOLLOW, dir_fd=here)
            finally:
                os.close(here)
            here = below
        return here


def link_target(folder: int, name: str) -> str | None:
    """Return what the link says, None when the name is no link or nothing."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _parts(path: str) -> list[str]:
    """Return the path's names, the first one last, so that they are taken from the end."""
    parts = [name for name in reversed(path.split("/")) if name]
    # `name/` is a folder or an error, as `name/.` is.
    return [".", *parts] if path.endswith("/") else parts
