"""Small objects on the disk, sealed by the kernel's key: each in a file of its own, written whole or not at all."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexus.kernel.secrets.sealing import seal, unseal
from nexus.kernel.store.failures import told_as_storage
from nexus.schemas.errors import StorageCorrupt

SUFFIX = ".sealed"
MOST_BYTES = 64 * 1024 * 1024


class SealedRecords:
    """Records by name. `folder` is made, with mode 0700, when the first is written. Raises storage errors."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key

    def read(self, name: str) -> Mapping[str, Any] | None:
        """Return a record; None where there is none that this kernel's key opens."""
        try:
            return self._opened(self._path(name))
        except StorageCorrupt:
            return None

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep a record in the place of the one before."""
        path = self._path(name)
        sealed = seal(self._key, path.stem, 0, json.dumps({"name": name, "value": value}))
        with told_as_storage(path):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_name(f".{secrets.token_hex(8)}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                with open(descriptor, "wb") as file:
                    file.write(sealed)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)

    def forget(self, name: str) -> None:
        """Take a record away; none there is nothing to do."""
        path = self._path(name)
        with told_as_storage(path):
            path.unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield what is kept, with its name; what this kernel's key does not open is passed over."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                whole = self._whole(path)
            except StorageCorrupt:
                continue
            if whole is not None:
                yield str(whole["name"]), whole["value"]

    def _opened(self, path: Path) -> Mapping[str, Any] | None:
        whole = self._whole(path)
        return whole["value"] if whole is not None else None

    def _whole(self, path: Path) -> dict[str, Any] | None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            opened: dict[str, Any] = json.loads(unseal(self._key, path.stem, 0, file.read(MOST_BYTES)))
        return opened

    def _path(self, name: str) -> Path:
        # Any text is a name, and no name tells anything to who lists the folder.
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}{SUFFIX}"
