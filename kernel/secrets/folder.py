"""Secrets as files for programs: a private folder a session, in memory where the system has such a place."""

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from nexus.kernel.store.failures import told_as_storage

MEMORY = Path("/dev/shm")  # noqa: S108 -- owner and mode of what is made there are checked
FALLBACK = "files"


class SecretFiles:
    """The files of one kernel's programs. Raises storage errors."""

    def __init__(self, data_folder: Path, memory: Path = MEMORY) -> None:
        digest = hashlib.sha256(os.fsencode(os.path.realpath(data_folder))).hexdigest()[:20]
        self._places = (memory / f"nexus-{os.getuid()}-{digest}", data_folder / "given" / FALLBACK)

    def choose(self, session_id: str) -> Path:
        """Return the folder for a session's files, made if need be."""
        for place in self._places[:-1]:
            with suppress(OSError):
                _private(place)
                return self._of(place, session_id)
        place = self._places[-1]
        with told_as_storage(place):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _private(place)
            return self._of(place, session_id)

    def write(self, folder: Path, values: Mapping[str, str]) -> None:
        """Put values in files of their names, each in the place of the one before at once."""
        with told_as_storage(folder):
            # A logout may have taken what was in memory.
            _private(folder.parent)
            _private(folder)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                for name, value in values.items():
                    _replace(descriptor, name, value.encode())
            finally:
                os.close(descriptor)

    def there(self, folder: Path, names: Mapping[str, str]) -> bool:
        """Say whether the files are there."""
        return all(os.path.lexists(folder / name) for name in names)

    def remove(self, folder: Path) -> None:
        """Take a session's files away; none there is nothing to do."""
        with told_as_storage(folder), suppress(FileNotFoundError):
            shutil.rmtree(folder)
        with suppress(OSError):
            # The last one of them, it may be.
            folder.parent.rmdir()

    def _of(self, place: Path, session_id: str) -> Path:
        folder = place / hashlib.sha256(session_id.encode()).hexdigest()[:32]
        _private(folder)
        return folder


def _private(folder: Path) -> None:
    """See that a folder is there, is none of somebody else's, and nobody else's business. Raises OSError."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    if stat.S_IMODE(facts.st_mode) != 0o700:
        folder.chmod(0o700)


def _replace(folder: int, name: str, value: bytes) -> None:
    draft = f".{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(draft, flags, 0o600, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(value)
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        raise
