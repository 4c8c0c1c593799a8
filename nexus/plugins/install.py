"""Plugins into the user's folder and out of it: copied whole under another name first, then put in place at once."""

import errno
import secrets
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from nexus.context.store import storage_error
from nexus.plugins.digest import MOST_BYTES, FolderUnreadable, digest_of
from nexus.plugins.discovery import MANIFEST, Candidate
from nexus.plugins.manifest import read_manifest
from nexus.plugins.rights import data_folder
from nexus.plugins.stamps import MOST_FILES, SKIPPED, FolderTooLarge, files_below
from nexus.schemas.errors import Conflict, NotFound, PluginInvalid, ValidationError
from nexus.schemas.plugin import PluginChange


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
    with zipfile.ZipFile(source) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
            raise FolderTooLarge(f"{source} holds too much for a plugin")
        names = [PurePosixPath(member.filename) for member in members]
        tops = {name.parts[0] for name in names}
        within = 1 if len(tops) == 1 and all(len(name.parts) > 1 for name in names) else 0
        for member, name in zip(members, names, strict=True):
            parts = name.parts[within:]
            if name.is_absolute() or ".." in parts or "\\" in str(name) or member.external_attr >> 28 == 0o12:
                raise FolderUnreadable(f"{name} would leave the plugin's folder")
            target = draft.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as file:
                content = file.read(member.file_size + 1)
            if len(content) > member.file_size:
                raise FolderTooLarge(f"{name} is larger than it says")
            target.write_bytes(content)


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
    old = plugins / f".{secrets.token_hex(8)}"
    target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return name, "updated"


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
