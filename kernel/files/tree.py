"""The entries of one folder, a page at a time."""

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from nexus.kernel.cursor import Place, decode, encode
from nexus.kernel.files.root import LIST, Root, checked
from nexus.kernel.store.rows import name_key
from nexus.schemas.errors import ValidationError
from nexus.schemas.file import FileEntry, FileTree, FileTreeQuery

Kind = Literal["file", "directory", "link", "other"]
RANK: dict[Kind, int] = {"directory": 0, "file": 1, "link": 1, "other": 1}


def browse(root: Root, query: FileTreeQuery) -> FileTree:
    """Return a page of the folder's entries. Names that are no UTF-8 are told with their odd bytes as `\\xNN`."""
    order = query.sort or ""
    key = SORTS.get(order.removeprefix("-"))
    if key is None:
        available = sorted(name for name in SORTS if name)
        raise ValidationError.because(f"{order!r} cannot be sorted by.", field="sort", available=available)
    folder = checked(query.path)
    after = decode(query.cursor, order) if query.cursor is not None else None
    with root.opened(folder, LIST) as descriptor, os.scandir(descriptor) as entries:
        placed = [(key(entry), _told(entry.name), entry) for entry in entries if _wanted(entry.name, query)]
        descending = order.startswith("-")
        placed.sort(key=lambda item: item[:2], reverse=descending)
        if after is not None:
            placed = [item for item in placed if _is_behind(item[:2], after, descending)]
        page = placed[: query.limit]
        # An entry reads its status by the folder's descriptor, which is open until here.
        items = [entry for _, name, found in page if (entry := _entry(found, name, folder)) is not None]
    truncated = len(placed) > query.limit
    return FileTree(
        path=folder,
        items=items,
        next_cursor=encode(order, page[-1][:2]) if truncated else None,
        truncated=truncated,
    )


def _wanted(name: str, query: FileTreeQuery) -> bool:
    if name.startswith(".") and not query.show_hidden:
        return False
    return not query.filter or query.filter.casefold() in _told(name).casefold()


def _is_behind(place: Place, after: Place, descending: bool) -> bool:
    try:
        return place < after if descending else place > after
    except TypeError:
        raise ValidationError.because("The cursor is none of this list's.", field="cursor") from None


def _entry(entry: os.DirEntry[str], name: str, folder: str) -> FileEntry | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return FileEntry(
        name=name,
        path=name if folder == "." else f"{folder}/{name}",
        kind=_kind(entry),
        size=status.st_size if stat.S_ISREG(status.st_mode) else None,
        modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
    )


def _kind(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def _told(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _folders_first(entry: os.DirEntry[str]) -> str:
    return f"{RANK[_kind(entry)]}{name_key(_told(entry.name))}"


def _name(entry: os.DirEntry[str]) -> str:
    return name_key(_told(entry.name))


def _size(entry: os.DirEntry[str]) -> int:
    status = _status(entry)
    return status.st_size if status and stat.S_ISREG(status.st_mode) else 0


def _modified(entry: os.DirEntry[str]) -> int:
    status = _status(entry)
    return status.st_mtime_ns if status else 0


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


SORTS: dict[str, Callable[[os.DirEntry[str]], str | int]] = {
    "": _folders_first,
    "name": _name,
    "path": _name,
    "kind": _kind,
    "size": _size,
    "modifiedAt": _modified,
}
