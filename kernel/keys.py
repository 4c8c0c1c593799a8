"""The kernel's own keys: one secret, in the keyring or in a file that only its owner reads, and a key a purpose."""

import hashlib
import hmac
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Protocol

from nexus.kernel.store.failures import told_as_storage
from nexus.schemas.errors import BackendUnavailable, ConfigInvalid, StorageCorrupt

FILE_NAME = "secret.key"
ACCOUNT_NAME = "secret.account"
"""The file that says under which account the keyring has the secret, where it has."""
LEAST_CHARACTERS = 32
UNLOCK = "Unlock the keyring of your desktop, or give the secret as NEXUS_SECRET."


class Keyring(Protocol):
    """The keyring of the user's desktop, asked with a time-out. Raises `BackendUnavailable` where it cannot be asked.

    `takes_new` says whether a secret that is made now may be put there.
    """

    @property
    def takes_new(self) -> bool: ...

    async def get(self, account: str) -> str | None: ...

    async def set(self, account: str, value: str) -> None: ...


class Keys:
    """Keys for purposes, all made of one secret, which is in the file or `given` (NEXUS_SECRET) the first time.

    The file is made when a key is first asked for, unless `load` found a keyring for it. Kernels that share a database
    share the secret. Raises `ConfigInvalid` when another secret is given than the folder's.
    """

    def __init__(self, folder: Path, given: str | None = None) -> None:
        self._path = folder / FILE_NAME
        self._account = folder / ACCOUNT_NAME
        self._given = given
        self._from_keyring: bytes | None = None

    async def load(self, keyring: Keyring | None, *, chooses: bool) -> None:
        """Take the secret from the keyring, where it was put; put a new one there, where none is and it `chooses` so.

        What was chosen is remembered: a keyring that cannot be used the first time is not asked again. Raises
        `BackendUnavailable` where the secret is in a keyring that does not answer, or is not there any more.
        """
        if self._given:
            return
        account = self._read_account()
        if account is not None:
            self._from_keyring = await self._asked(keyring, account)
        elif chooses and keyring is not None and keyring.takes_new and not self._path.exists():
            account, secret = f"kernel {secrets.token_hex(8)} {self._path.parent}", secrets.token_urlsafe(48)
            try:
                await keyring.set(account, secret)
            except BackendUnavailable:
                with told_as_storage(self._path):
                    self._make(self._path, secret.encode())
                return
            with told_as_storage(self._account):
                self._make(self._account, account.encode())
            self._from_keyring = secret.encode()

    @property
    def from_keyring(self) -> str | None:
        """The secret, where it is the keyring's."""
        return self._from_keyring.decode() if self._from_keyring is not None else None

    @property
    def is_there(self) -> bool:
        """Whether there is a secret that was there before."""
        return bool(self._given) or self._from_keyring is not None or self._path.exists()

    @property
    def place(self) -> str:
        """Where the secret is, for who is to put it back."""
        return "the keyring's secret" if self._from_keyring is not None else str(self._path)

    @property
    def mark(self) -> str:
        """What tells this secret from another, and nothing of it."""
        return self.key("mark").hex()

    def key(self, purpose: str) -> bytes:
        """Return 32 bytes that tell nothing of the secret, nor of the keys for other purposes."""
        return hmac.digest(self._secret, f"nexus {purpose}".encode(), hashlib.sha256)

    @cached_property
    def _secret(self) -> bytes:
        if self._from_keyring is not None:
            return self._from_keyring
        given = self._given.encode() if self._given else None
        if given is not None and self._account.exists():
            # The keyring's own need not be asked: another one than that is told of by its mark.
            return given
        if self._account.exists():
            raise BackendUnavailable.because("The kernel's secret is in the keyring, which was not asked.", hint=UNLOCK)
        with told_as_storage(self._path):
            try:
                kept = self._read()
            except FileNotFoundError:
                # One that is given is kept too: a folder has one secret, whoever opens it next, and with what.
                self._make(self._path, given or secrets.token_urlsafe(48).encode())
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

    async def _asked(self, keyring: Keyring | None, account: str) -> bytes:
        hint = UNLOCK
        if keyring is None:
            raise BackendUnavailable.because("The kernel's secret is in a keyring, and there is none here.", hint=hint)
        try:
            secret = await keyring.get(account)
        except BackendUnavailable as error:
            raise BackendUnavailable.because(f"The kernel's secret is in the keyring: {error}", hint=hint) from error
        if secret is None:
            raise BackendUnavailable.because("The kernel's secret is not in the keyring any more.", hint=hint)
        return secret.encode()

    def _read_account(self) -> str | None:
        with told_as_storage(self._account):
            try:
                descriptor = os.open(self._account, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                return None
            with open(descriptor, encoding="utf-8") as file:
                return file.read(4096).strip()

    def _make(self, path: Path, secret: bytes) -> None:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(secret + b"\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                # A link never takes the place of a secret that another process made meanwhile.
                os.link(draft, path)
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
