"""The kernel's own keys: one secret, in a file that only its owner reads, and a key of it for each purpose."""

import hashlib
import hmac
import os
import secrets
from functools import cached_property
from pathlib import Path

from nexus.kernel.store.failures import told_as_storage
from nexus.schemas.errors import StorageCorrupt

FILE_NAME = "secret.key"
LEAST_CHARACTERS = 32


class Keys:
    """Keys for purposes, all made of one secret. `given` (NEXUS_SECRET) takes the place of the file.

    The file is made when a key is first asked for. Kernels that share a database share the secret.
    """

    def __init__(self, folder: Path, given: str | None = None) -> None:
        self._path = folder / FILE_NAME
        self._given = given

    def key(self, purpose: str) -> bytes:
        """Return 32 bytes that tell nothing of the secret, nor of the keys for other purposes."""
        return hmac.digest(self._secret, f"nexus {purpose}".encode(), hashlib.sha256)

    @cached_property
    def _secret(self) -> bytes:
        if self._given:
            return self._given.encode()
        with told_as_storage(self._path):
            try:
                return self._read()
            except FileNotFoundError:
                self._make()
                return self._read()

    def _read(self) -> bytes:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:
            os.fchmod(file.fileno(), 0o600)
            secret = file.read(4096).strip()
        if len(secret) < LEAST_CHARACTERS:
            raise StorageCorrupt(path=str(self._path), reason="the kernel's secret is cut")
        return secret

    def _make(self) -> None:
        draft = self._path.with_name(f".{FILE_NAME}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(secrets.token_urlsafe(48).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                # A link never takes the place of a secret that another process made meanwhile.
                os.link(draft, self._path)
            except FileExistsError:
                return
        finally:
            draft.unlink(missing_ok=True)
