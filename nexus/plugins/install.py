"""Plugins into the user's folder and out of it: copied whole under another name first, then put in place at once."""

import errno
import lzma
import secrets
import shutil
import stat
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from nexus.context.store import storage_error
from nexus.plugins.digest import MOST_BYTES, FolderUnreadable, digest_of
from nexus.plugins.discovery import MANIFEST, Candidate
from nexus.plugins.exchange import exchange
from nexus.plugins.manifest import read_manifest
from nexus.plugins.rights import data_folder
from nexus.plugins.stamps import MOST_FILES, SKIPPED, FolderTooLarge, files_below
from nexus.schemas.errors import Conflict, NotFound, PluginInvalid, ValidationError
from nexus.schemas.plugin import PluginChange
from nexus.schemas.regular import open_regular


def copied_in(source: Path, plugins: Path, *, replace: bool) -> tuple[str, PluginChange]:
    """Copy a plugin's folder, or the one in a zip file, into the user's; return its name and what was done.

    Raises `NotFound`, `PluginInvalid`, `Conflict` for another of the name unless `replace`, storage errors. Nothing of
    the plugin is imported.
    """
    if not source.exists():
        raise NotFound(resource="file", reference=str(source), hint="nexus help settings plugin install")
    draft = plugins / f".{secrets.token_hex(8)}"
    try:
        plugins.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _copy(source, draft)
            return _placed(draft, plugins, replace=replace)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise storage_error(error, plugins) from error
    except (ValueError, zipfile.BadZipFile) as error:
        raise PluginInvalid.because(f"{source} cannot be installed: {error}.", path=str(source)) from error


def _copy(source: Path, draft: Path) -> None:
    if source.is_dir():
        # Read through once: what is too large, or no file, is refused before anything is copied.
        digest_of(source)
        links = [name for name in files_below(source) if (source / name).is_symlink()]
        if links:
            raise FolderUnreadable(f"{links[0]} is a link, which may lead anywhere")
        shutil.copytree(source, draft, ignore=shutil.ignore_patterns(*SKIPPED, "*.pyc"))
    else:
        _unpack(source, draft)


def _unpack(source: Path, draft: Path) -> None:
    """Unpack files, each below the draft. Raises `FolderUnreadable`, `FolderTooLarge`, `BadZipFile`."""
    with _opened(source) as file, zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
            raise FolderTooLarge(f"{source} holds too much for a plugin")
        names = [_name_of(member) for member in members]
        if len({name for name in names if not {*name.parents} & {*names}}) < len(names):
            raise FolderUnreadable("two of its names are one, or one is below another")
        within = 1 if len({name.parts[0] for name in names}) == 1 and all(len(name.parts) > 1 for name in names) else 0
        for member, name in zip(members, names, strict=True):
            target = draft.joinpath(*name.parts[within:])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_content_of(archive, member))


def _opened(source: Path) -> BinaryIO:
    try:
        return open_regular(source)
    except OSError as error:
        raise FolderUnreadable(f"it cannot be read: {error.strerror}") from error


def _name_of(member: zipfile.ZipInfo) -> PurePosixPath:
    """Return a file's name. Raises `FolderUnreadable` for one that is none, leaves the folder, or is a link's."""
    name = PurePosixPath(member.filename)
    if not name.parts or name.is_absolute() or ".." in name.parts or "\\" in str(name):
        raise FolderUnreadable(f"{member.filename!r} would leave the plugin's folder")
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise FolderUnreadable(f"{member.filename!r} is no regular file")
    return name


def _content_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a file's bytes, which are as many as it says. Raises `FolderTooLarge`, `BadZipFile`."""
    try:
        with archive.open(member) as file:
            content = file.read(member.file_size + 1)
    # What is encrypted, packed in an unknown way, or damaged is told by each in a way of its own.
    except (RuntimeError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise zipfile.BadZipFile(f"{member.filename!r} cannot be unpacked: {error}") from error
    if len(content) > member.file_size:
        raise FolderTooLarge(f"{member.filename!r} is larger than it says")
    return content


def _placed(draft: Path, plugins: Path, *, replace: bool) -> tuple[str, PluginChange]:
    name = read_manifest(draft / MANIFEST).name
    target = plugins / name
    if not target.exists():
        draft.rename(target)
        return name, "created"
    with suppress(ValueError):
        if digest_of(target) == digest_of(draft):
            return name, "unchanged"
    if not replace:
        raise Conflict.because(
            f"A plugin {name} is installed already, and is another.",
            path=str(target),
            hint=f"nexus settings plugin view --name {name}",
        )
    _exchange(draft, target)
    return name, "updated"


def _exchange(draft: Path, target: Path) -> None:
    """Put the draft in a plugin's place, and the plugin in the draft's: no moment has none of them there."""
    try:
        exchange(draft, target)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
            raise
        # Where the system cannot, there is a moment without the plugin.
        old = draft.with_name(f".{secrets.token_hex(8)}")
        target.rename(old)
        draft.rename(target)
        old.rename(draft)


def deleted(candidate: Candidate, data: Path) -> None:
    """Delete a plugin of the user's folder, with the data that it kept.

    Raises `ValidationError` for one that others put where it is, storage errors.
    """
    folder = Path(candidate.folder)
    if candidate.origin != "user":
        installed = candidate.origin == "installed"
        raise ValidationError.because(
            f"The plugin {candidate.label} belongs to {'a Python package' if installed else 'a project'}: "
            f"{'uninstall the package' if installed else 'delete it there'}, or disable it here.",
            field="name",
            path=candidate.folder,
            hint=f"nexus settings plugin disable --name {candidate.label}",
        )
    try:
        if folder.is_symlink():
            folder.unlink()
        else:
            gone = folder.with_name(f".{secrets.token_hex(8)}")
            folder.rename(gone)
            shutil.rmtree(gone)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise storage_error(error, folder) from error
    shutil.rmtree(data_folder(data, candidate.label), ignore_errors=True)
