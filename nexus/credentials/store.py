"""Where credentials are kept: the keyring, or a file that only its owner reads; chosen once, and remembered."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError as ModelError

from nexus.context.store import storage_error, write_whole
from nexus.credentials.kept import Credentials
from nexus.credentials.keyring import Keyring, KeyringUnusable
from nexus.schemas.errors import BackendUnavailable
from nexus.schemas.profile import CredentialPlace

_MOST_BYTES = 64 * 1024


class CredentialStore:
    """One caller's credentials, by profile. `folder` is made when something is first kept."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._keyring = Keyring(environment)

    async def keep(self, profile: str, credentials: Credentials, place: CredentialPlace | None) -> CredentialPlace:
        """Keep them at the place, chosen now where that is None, and return it. Raises storage errors."""
        written = credentials.model_dump_json(exclude_none=True)
        if place != "file":
            try:
                await self._keyring.set(self._account(profile), written)
            except KeyringUnusable as error:
                if place == "keyring":
                    raise _unusable(error) from error
            else:
                return "keyring"
        self._prepare()
        write_whole(self._path(profile), written.encode())
        return "file"

    async def load(self, profile: str, place: CredentialPlace) -> Credentials | None:
        """Return what is kept, None where there is nothing that can be read. Raises `BackendUnavailable`."""
        if place == "keyring":
            try:
                written = await self._keyring.get(self._account(profile))
            except KeyringUnusable as error:
                raise _unusable(error) from error
        else:
            written = self._read(profile)
        if written is None:
            return None
        try:
            return Credentials.model_validate_json(written)
        except ModelError:
            return None

    async def forget(self, profile: str, place: CredentialPlace) -> None:
        """Take away what is kept; nothing kept is nothing to do."""
        if place == "keyring":
            try:
                await self._keyring.delete(self._account(profile))
            except KeyringUnusable as error:
                raise _unusable(error) from error
        else:
            self._path(profile).unlink(missing_ok=True)

    def lock_of(self, profile: str) -> Path:
        """Return the file whose lock guards a profile's refresh."""
        self._prepare()
        return self.folder / f".{profile}.lock"

    def _prepare(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise storage_error(error, self.folder) from error

    def _read(self, profile: str) -> str | None:
        try:
            descriptor = os.open(self._path(profile), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        with open(descriptor, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_BYTES)

    def _path(self, profile: str) -> Path:
        return self.folder / f"{profile}.json"

    def _account(self, profile: str) -> str:
        # Two homes of one user do not share what signs in.
        return f"{profile} {self.folder}"


def _unusable(error: KeyringUnusable) -> BackendUnavailable:
    return BackendUnavailable.because(
        f"The credentials are in the keyring, and {error}.", hint="Unlock the keyring, or set NEXUS_TOKEN."
    )
