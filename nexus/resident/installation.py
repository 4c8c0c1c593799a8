"""What this process's code was read from, and whether it has changed since."""

import os
import stat
from pathlib import Path

from nexus.launcher.process import identity

Mark = tuple[tuple[str, int, int, int], ...]

_CODE = (".py", ".sql", ".index")


class Installation:
    """The files of one site folder as they are now. A wheel costs one `stat` to compare, a checkout its whole tree."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.identity = identity(site).decode()
        self._record = _record_of(site)
        self._mark = self._read()

    def changed(self) -> bool:
        """Say whether the code on disk is not any more the code of when this object was made."""
        return self._read() != self._mark

    def _read(self) -> Mark:
        if self._record is not None:
            return (_mark_of(self._record),)
        found: list[tuple[str, int, int, int]] = []
        _walk(os.path.join(self.site, "nexus"), found)
        return tuple(sorted(found))


def _record_of(site: str) -> str | None:
    """Return the list of files that an installer wrote beside the package, and rewrites with it."""
    folder = Path(site)
    if (folder / "pyproject.toml").exists():
        return None
    records = list(folder.glob("nexus_cli-*.dist-info/RECORD"))
    return str(records[0]) if len(records) == 1 else None


def _mark_of(path: str) -> tuple[str, int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (path, 0, 0, 0)
    return (path, found.st_mtime_ns, found.st_size, found.st_ino)


def _walk(folder: str, found: list[tuple[str, int, int, int]]) -> None:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith(_CODE):
            found.append(_mark_of(entry.path))
        elif entry.name != "__pycache__" and stat.S_ISDIR(_mode(entry)):
            _walk(entry.path, found)


def _mode(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat().st_mode
    except OSError:
        return 0
