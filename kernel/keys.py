"""The kernel's own keys: one secret, in a file that only its owner reads, and a key of it for each purpose."""

import hashlib
import hmac
import os
import secrets
from functools import cached_property
from pathlib import Path

from nexus.kernel.store.failures import told_as_storage
from nexus.schemas.errors import ConfigInvalid, StorageCorrupt

FILE_NAME = "secret.key"
LEAST_CHARACTERS = 32


class Keys:
    """Keys for purposes, all made of one secret, which is in the file or `given` (NEXUS_SECRET) the first time.

    The file is made when a key is first asked for. Kernels that share a database share the secret. Raises
    `ConfigInvalid` when another secret is given than the folder's.
    """

    def __init__(self, folder: Path, given: str | None = None) -> None:
        self._path = folder / FILE_NAME
        self._given = given

    def key(self, purpose: str) -> bytes:
        """Return 32 bytes that tell nothing of the secret, nor of the keys for other purposes."""
        return hmac.digest(self._secret, f"nexus {purpose}".encode(), hashlib.sha256)

    @cached_property
    def _secret(self) -> bytes:
        given = self._given.encode() if self._given else None
        with told_as_storage(self._path):
            try:
                kept = self._read()
            except FileNotFoundError:
                # One that is given is kept too: a folder has one secret, whoever opens it next, and with what.
                self._make(given or secrets.token_urlsafe(48).encode())
                kept = self._read()
        if given is not None and not hmac.compare_digest(kept, given):
            raise ConfigInvalid.because(
                f"NEXUS_SECRET is another secret than the one in {self._path}, which signed and sealed what is there.",
                path=str(self._path),
                hint="Give NEXUS_SECRET as it was, or leave it out. Without that file what it sealed is lost.",
            )
        return kept

    def _read(self) -> bytes:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:
            os.fchmod(file.fileno(), 0o600)
            secret = file.read(4096).strip()
        if len(secret) < LEAST_CHARACTERS:
            raise StorageCorrupt(path=str(self._path), reason="the kernel's secret is cut")
        return secret

    def _make(self, secret: bytes) -> None:
        draft = self._path.with_name(f".{FILE_NAME}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(secret + b"\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                # A link never takes the place of a secret that another process made meanwhile.
                os.link(draft, self._path)
            except FileExistsError:
                return
        finally:
            draft.unlink(missing_ok=True)
        # What it signs and seals is on the disk at once, and worth nothing without it.
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
