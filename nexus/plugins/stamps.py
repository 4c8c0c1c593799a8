"""What tells that files have changed without reading them: a stat of each, taken again on every command."""

import os
from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int, int, int]
"""mtime in nanoseconds, ctime in nanoseconds, size, inode."""

MOST_FILES = 5000
_TICK_NS = 20_000_000
"""A file that changed so shortly before it was looked at may change again without another time of change."""
SKIPPED = frozenset({"__pycache__", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache"})


class FolderTooLarge(ValueError):
    """A plugin's folder has more files than a plugin may have."""


def stamp_of(path: str | Path) -> Stamp | None:
    """Return the stamp of a file or a folder, None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def is_settled(stamps: Iterable[Stamp | None], looked: int) -> bool:
    """Say whether every file was old enough, when it was looked at (in nanoseconds), that its next change will show."""
    newest = max((stamp[1] for stamp in stamps if stamp is not None), default=0)
    return newest < looked - _TICK_NS


def files_below(folder: Path) -> list[str]:
    """Return every file below a folder by its relative path, sorted. Links are files, and are not followed.

    Raises `FolderTooLarge`, `OSError`.
    """
    found: list[str] = []
    todo = [""]
    while todo:
        below = todo.pop()
        with os.scandir(folder / below) as entries:
            for entry in entries:
                name = f"{below}/{entry.name}" if below else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in SKIPPED:
                        todo.append(name)
                elif not entry.name.endswith(".pyc"):
                    found.append(name)
                if len(found) > MOST_FILES:
                    raise FolderTooLarge(f"{folder} has more than {MOST_FILES} files")
    return sorted(found)


def signature(folder: Path) -> tuple[tuple[str, Stamp | None], ...]:
    """Return what differs when anything below a folder does. Raises `FolderTooLarge`, `OSError`."""
    return tuple((name, stamp_of(folder / name)) for name in files_below(folder))
