"""Profiles: servers by name, each with settings of its own and a place for what signs in to it. One file."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic import ValidationError as ModelError

from nexus.context.lock import locked
from nexus.context.store import storage_error, write_whole
from nexus.schemas.errors import ConfigInvalid, Conflict, NotFound, ValidationError
from nexus.schemas.model import Model
from nexus.schemas.profile import CredentialPlace, Profile
from nexus.schemas.regular import open_regular

LOCAL_PROFILE = "local"
"""The profile that is always there: the kernel on this machine."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_BYTES = 1024 * 1024
_MOST_PROFILES = 1000


class Kept(Model):
    """One profile as it is written: settings by `category.key`, and where its credentials are."""

    settings: dict[str, Any] = Field(default_factory=dict)
    credentials: CredentialPlace | None = None
    user: str | None = None


class _File(Model):
    current: str | None = None
    credentials: CredentialPlace | None = None
    profiles: dict[str, Kept] = Field(default_factory=dict)


class Profiles:
    """The profiles in one file; read when first asked for. `named` is what a flag or NEXUS_PROFILE says.

    Raises `ConfigInvalid` for a file that cannot be used.
    """

    def __init__(self, path: Path, named: str | None = None) -> None:
        self.path = path
        self.named = named
        self._seen: _File | None = None

    @property
    def current(self) -> str:
        """The name of the profile that commands use."""
        if self.named is not None:
            return self.named
        return self._file().current or LOCAL_PROFILE

    def settings(self) -> dict[str, Any]:
        """Return what the current profile sets. Raises `NotFound` when a name was given and there is none."""
        name = self.current
        kept = self._file().profiles.get(name)
        if kept is None and name != LOCAL_PROFILE:
            raise self._missing(name)
        return kept.settings if kept is not None else {}

    def find(self, name: str) -> Kept | None:
        """Return a profile as it is kept, or None."""
        return self._file().profiles.get(name)

    def of_server(self, server: str) -> str | None:
        """Return the name of the profile that signs in to a server.

        That is the current one, where it is named or of that server: a profile that is signed out stays signed out, and
        does not become another's account. For a server that was named beside it, the first that has one.
        """
        profiles = self._file().profiles
        current = profiles.get(self.current)
        own = self.named is not None or (current is not None and current.settings.get("server.url") == server)
        for name in (self.current,) if own else sorted(profiles):
            kept = profiles.get(name)
            if kept is not None and kept.settings.get("server.url") == server and kept.credentials is not None:
                return name
        return None

    @property
    def place(self) -> CredentialPlace | None:
        """Where credentials are kept on this machine, once that was chosen."""
        return self._file().credentials

    def list(self) -> list[Profile]:
        """Return every profile, the local one among them."""
        kept = {LOCAL_PROFILE: Kept(), **self._file().profiles}
        return [self._told(name, each) for name, each in sorted(kept.items())]

    def get(self, name: str) -> Profile:
        """Return one. Raises `NotFound`."""
        kept = self.find(name)
        if kept is None and name != LOCAL_PROFILE:
            raise self._missing(name)
        return self._told(name, kept or Kept())

    async def create(self, name: str, server: str) -> Profile:
        """Add a profile. Raises `Conflict` when there is one of that name, `ValidationError` for the name."""
        checked_name(name)
        async with self._changing() as file:
            if name in file.profiles:
                raise Conflict.because(
                    f"There is already a profile {name!r}.", field="name", hint="nexus settings profile list"
                )
            if len(file.profiles) >= _MOST_PROFILES:
                raise ValidationError.because(f"There are {_MOST_PROFILES} profiles already.", limit=_MOST_PROFILES)
            file.profiles[name] = Kept(settings={"server.url": server})
        return self.get(name)

    async def use(self, name: str) -> Profile:
        """Have commands use a profile unless they name another. Raises `NotFound`."""
        async with self._changing() as file:
            if name not in file.profiles and name != LOCAL_PROFILE:
                raise self._missing(name)
            file.current = None if name == LOCAL_PROFILE else name
        return self.get(name)

    async def delete(self, name: str) -> None:
        """Forget a profile; its credentials are another's to take away first. Raises `NotFound`, `ValidationError`."""
        if name == LOCAL_PROFILE:
            raise ValidationError.because("The local profile is always there.", field="name")
        async with self._changing() as file:
            if file.profiles.pop(name, None) is None:
                raise self._missing(name)
            if file.current == name:
                file.current = None

    async def signed_in(self, name: str, server: str, user: str, place: CredentialPlace) -> None:
        """Write down that a profile, made if need be, has credentials for a server, and where."""
        checked_name(name)
        async with self._changing() as file:
            kept = file.profiles.setdefault(name, Kept())
            kept.settings["server.url"] = server
            kept.credentials, kept.user = place, user
            file.credentials = place
            file.current = name

    async def signed_out(self, name: str) -> None:
        """Write down that a profile has none."""
        async with self._changing() as file:
            kept = file.profiles.get(name)
            if kept is not None:
                kept.credentials = kept.user = None

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[_File]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            async with locked(self.path.with_name(f".{self.path.name}.lock")):
                self._seen = None
                file = self._file()
                yield file
                write_whole(self.path, file.model_dump_json(indent=2, exclude_none=True).encode() + b"\n")
                self._seen = None
        except OSError as error:
            raise storage_error(error, self.path) from error

    def _file(self) -> _File:
        if self._seen is None:
            try:
                with open_regular(self.path) as file:
                    self._seen = _File.model_validate_json(file.read(_MOST_BYTES))
            except FileNotFoundError:
                self._seen = _File()
            except (OSError, ModelError) as error:
                reason = getattr(error, "strerror", None) or "it is no JSON of profiles"
                raise ConfigInvalid.because(
                    f"{self.path} cannot be used: {reason}.", path=str(self.path), hint="nexus doctor"
                ) from error
        return self._seen

    def _told(self, name: str, kept: Kept) -> Profile:
        return Profile(
            name=name,
            server=kept.settings.get("server.url"),
            user=kept.user,
            credentials=kept.credentials,
            current=name == self.current,
        )

    def _missing(self, name: str) -> NotFound:
        available = sorted({LOCAL_PROFILE, *self._file().profiles})
        return NotFound(
            resource="profile", reference=name[:200], available=available, hint="nexus settings profile list"
        )


def sign_in_line(server: str, profile: str | None) -> str:
    """Return the command that signs in to a server, under the profile that was named."""
    from shlex import quote

    named = "" if profile is None else f" --profile {quote(profile)}"
    return f"nexus settings auth login --server {quote(server)}{named}"


def checked_name(name: str) -> str:
    """Return the name of a profile. Raises `ValidationError` for one that could not be a file's, and for `local`."""
    if not _NAME.fullmatch(name) or name == LOCAL_PROFILE:
        raise ValidationError.because(
            "A profile's name has letters, digits, '.', '_' and '-', at most 64 of them, and is not 'local'.",
            field="profile",
        )
    return name


def name_for(server: str) -> str:
    """Return a name for the profile of a server: its host, and port where it says one."""
    from urllib.parse import urlsplit

    place = urlsplit(server).netloc.rpartition("@")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "-", place).strip("-.")[:64] or "server"
