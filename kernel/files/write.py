"""Writing below a project's folder: whole or not at all, into the folder that a path really leads to."""

import fcntl
import os
import secrets
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Literal

from nexus.kernel.files.beneath import MOST_LINKS, SEARCH, link_target
from nexus.kernel.files.root import LIST, READ, FileData, Root, checked, read_file, told_of
from nexus.schemas.errors import Conflict, NotFound, PathOutsideRoot, PermissionDenied, ValidationError

Change = Literal["created", "updated", "unchanged"]
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_NAME_CHARACTERS = 60


def write(
    root: Root, path: str, data: bytes, most_bytes: int, expected_sha256: str | None = None, *, in_git: bool = True
) -> Change:
    """Put the bytes at the path; folders on the way are made, a link is followed as far as it stays inside.

    A new file is as open to others as its folder is, an old one keeps its mode. Raises `Conflict` when what is there
    has not the expected digest, `ValidationError` when it is no regular file or has more than `most_bytes`, and without
    `in_git` `PermissionDenied` for git's own folder: its configuration names programs.
    """
    if not in_git:
        # Before folders are made on the way, and once more where links have led.
        _refuse_gits(path, path.split("/"))
    with _place(root, path) as (folder, name), told_of(path):
        if not in_git:
            _refuse_gits(path, [*names_below(root.descriptor, folder), name])
        before = _before(folder, name, path, most_bytes)
        _expect(before, expected_sha256, path)
        if before is not None and before.data == data:
            return "unchanged"
        mode = before.status.st_mode & 0o777 if before else os.stat(folder).st_mode & 0o666
        _replace(folder, name, data, mode)
        return "updated" if before else "created"


def _refuse_gits(path: str, names: Iterable[str]) -> None:
    """Raise `PermissionDenied` where one of the names is git's own folder, as any file system may spell it."""
    plain = ("".join(char for char in name if unicodedata.category(char) != "Cf").casefold() for name in names)
    if any(name in (".git", "git~1") for name in plain):
        raise PermissionDenied.because(
            f"{path} is git's own: no role grants 'agent terminal open' here.", operation="agent.terminal.open"
        )


def names_below(root: int, folder: int) -> Sequence[str]:
    """Return the names that really lead from an open folder to another one below it."""
    return os.path.relpath(_path_of(folder), _path_of(root)).split("/")


def _path_of(folder: int) -> str:
    if sys.platform == "darwin":
        return os.fsdecode(fcntl.fcntl(folder, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    return os.readlink(f"/proc/self/fd/{folder}")


@contextmanager
def _place(root: Root, path: str) -> Iterator[tuple[int, str]]:
    """Hold the folder and the name that the path means, when its last name is a link those that the link leads to."""
    wanted = checked(path)
    for _ in range(MOST_LINKS):
        above, _, name = wanted.rpartition("/")
        if name in ("", ".", ".."):
            raise ValidationError.because(f"{path} is a folder.", field="path", hint="Name a file in it.")
        with told_of(path):
            folder = _folder(root, above or ".")
        try:
            with told_of(path):
                target = link_target(folder, name)
            if target is None:
                yield folder, name
                return
        finally:
            os.close(folder)
        if target.startswith("/"):
            raise PathOutsideRoot(path=path)
        wanted = f"{above}/{target}" if above else target
    raise PathOutsideRoot(path=path)


def _folder(root: Root, path: str) -> int:
    """Open a folder beneath the root, made where it is missing, with the mode of the one above it."""
    try:
        return root.beneath(root.descriptor, path, SEARCH)
    except FileNotFoundError:
        above, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            raise
    with_parent = _folder(root, above or ".")
    try:
        with suppress(FileExistsError):
            _make_folder(with_parent, name)
    finally:
        os.close(with_parent)
    return root.beneath(root.descriptor, path, SEARCH)


def _make_folder(above: int, name: str) -> None:
    os.mkdir(name, 0o700, dir_fd=above)
    descriptor = os.open(name, LIST | os.O_NOFOLLOW, dir_fd=above)
    try:
        # Not by mkdir: this process's umask is nobody's wish.
        os.fchmod(descriptor, os.stat(above).st_mode & 0o777)
    finally:
        os.close(descriptor)


def _before(folder: int, name: str, path: str, most_bytes: int) -> FileData | None:
    try:
        descriptor = os.open(name, READ | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        return read_file(descriptor, path, most_bytes)
    finally:
        os.close(descriptor)


def _expect(before: FileData | None, expected_sha256: str | None, path: str) -> None:
    if expected_sha256 is None:
        return
    if before is None:
        raise NotFound(resource="file", reference=path, expected=expected_sha256)
    if before.sha256 != expected_sha256.lower():
        raise Conflict.because(
            f"{path} is not what it was when it was read.",
            hint=f"nexus agent file read --path {path}",
            expected=expected_sha256,
            found=before.sha256,
        )


def _replace(folder: int, name: str, data: bytes, mode: int) -> None:
    temporary = f".{name[:MOST_NAME_CHARACTERS]}.{secrets.token_hex(6)}.tmp"
    descriptor = os.open(temporary, CREATE, 0o600, dir_fd=folder)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    _sync_folder(folder)


def _sync_folder(folder: int) -> None:
    """Have the new name itself on the disk. `folder` may be open for searching only, which cannot be synced."""
    descriptor = os.open(".", LIST, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
