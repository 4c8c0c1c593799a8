"""The token that a command's requests carry: of the environment, else of the profile, refreshed before it ends.

Fifty commands whose token has ended refresh it once: the first takes the profile's lock, the others find the new one
when they have it.
"""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from nexus.client.way import Request, Way
from nexus.context.lock import locked
from nexus.credentials.kept import Credentials
from nexus.credentials.store import CredentialStore
from nexus.schemas.account import Tokens
from nexus.schemas.errors import AuthError, AuthInvalid, BackendError

if TYPE_CHECKING:
    from nexus.config.profiles import Profiles

LOCK_SECONDS = 60.0
_REMEMBERED = 64


class Bearer(Protocol):
    """What signs a command's requests."""

    async def token(self) -> str | None:
        """Return the token to send, None to send none. Raises `AuthError` when signing in anew is all that helps."""
        ...

    async def renewed(self, refused: str) -> str | None:
        """Return another token than the one that was refused, or None where there is none."""
        ...


class GivenBearer:
    """A token of the environment: it is what it is."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def token(self) -> str | None:
        return self._token

    async def renewed(self, refused: str) -> str | None:  # noqa: ARG002 -- the interface's
        return None


class KeptBearer:
    """What a profile is signed in by. `remembered` is the process's own, so that a keyring is asked once a token."""

    def __init__(
        self,
        store: CredentialStore,
        profiles: "Profiles",
        server: str,
        connect: Callable[[], Awaitable[Way]],
        remembered: dict[str, Credentials],
    ) -> None:
        self._store = store
        self._profiles = profiles
        self._server = server
        self._connect = connect
        self._remembered = remembered

    async def token(self) -> str | None:
        name = self._profiles.of_server(self._server)
        if name is None:
            return None
        kept = await self._kept(name, anew=False)
        if kept is None:
            return None
        return (await self._refreshed(name, kept)).access_token if kept.is_old else kept.access_token

    async def renewed(self, refused: str) -> str | None:
        name = self._profiles.of_server(self._server)
        kept = await self._kept(name, anew=True) if name is not None else None
        if name is None or kept is None:
            return None
        if kept.access_token != refused:
            return kept.access_token
        if kept.refresh_token is None:
            return None
        return (await self._refreshed(name, kept)).access_token

    async def _kept(self, name: str, *, anew: bool) -> Credentials | None:
        profile = self._profiles.find(name)
        if profile is None or profile.credentials is None:
            return None
        place = f"{self._store.folder} {name}"
        kept = None if anew or profile.credentials == "file" else self._remembered.get(place)
        if kept is None:
            kept = await self._store.load(name, profile.credentials)
        # A token goes to the server that gave it, and nowhere else.
        if kept is None or kept.server != self._server:
            return None
        self._remember(place, kept)
        return kept

    async def _refreshed(self, name: str, seen: Credentials) -> Credentials:
        async with locked(self._store.lock_of(name), LOCK_SECONDS):
            kept = await self._kept(name, anew=True)
            if kept is None:
                raise AuthError(server=self._server)
            # By the refresh token, which is never the same again: access tokens of one second are equal.
            if kept.refresh_token != seen.refresh_token or kept.refresh_token is None:
                return kept
            profile = self._profiles.find(name)
            tokens = await self._refresh(kept.refresh_token)
            fresh = Credentials.of(self._server, tokens)
            await self._store.keep(name, fresh, profile.credentials if profile else "file")
            self._remember(f"{self._store.folder} {name}", fresh)
            return fresh

    async def _refresh(self, token: str) -> Tokens:
        body = json.dumps({"refreshToken": token}).encode()
        headers = {"content-type": "application/json", "accept": "application/json"}
        reply = await (await self._connect()).send(Request("POST", "/api/auth/refresh", headers, body))
        if reply.status == 401:
            raise AuthInvalid.because(f"The sign-in to {self._server} has ended.", server=self._server)
        try:
            return Tokens.model_validate_json(reply.body)
        except ValueError as error:
            raise BackendError.because(
                f"{self._server} answered {reply.status} when the sign-in was to be refreshed.",
                httpStatus=reply.status,
            ) from error

    def _remember(self, place: str, kept: Credentials) -> None:
        self._remembered[place] = kept
        while len(self._remembered) > _REMEMBERED:
            self._remembered.pop(next(iter(self._remembered)))
