"""Small files that every command reads: opened again only when they have changed."""

import os
import time
from collections.abc import Callable

from nexus.schemas.regular import open_regular

MOST_KEPT = 64
SETTLED_NS = 1_000_000_000
"""A file that was changed since so short a time may be changed again without its marks telling."""

_Mark = tuple[int, int, int, int]
_known: dict[str, tuple[_Mark, bytes]] = {}


def content_of(path: str, most: int, *, clock: Callable[[], int] = time.time_ns) -> bytes | None:
    """Return a file's content, `most` bytes and one more at the most, or None where there is none. Raises `OSError`."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    mark = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    known = _known.get(path)
    if known is not None and known[0] == mark:
        return known[1]
    try:
        with open_regular(path) as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        return None
    if clock() - max(found.st_mtime_ns, found.st_ctime_ns) > SETTLED_NS:
        if len(_known) >= MOST_KEPT:
            _known.clear()
        _known[path] = (mark, content)
    return content
