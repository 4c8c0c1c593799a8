"""What a command does with sign-ins: the `SignIns` that handlers are given."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nexus.client.refusals import refusal
from nexus.client.way import Request, Way
from nexus.config.profiles import LOCAL_PROFILE, Profiles, name_for
from nexus.credentials.kept import Credentials
from nexus.credentials.store import CredentialStore
from nexus.schemas.account import Identity, Tokens
from nexus.schemas.profile import Profile

if TYPE_CHECKING:
    from nexus.client.device import Show


class CommandSignIns:
    """Profiles and credentials of one caller."""

    def __init__(
        self,
        profiles: Profiles,
        store: CredentialStore,
        connect: Callable[[], Awaitable[Way]],
        remembered: dict[str, Credentials],
        *,
        from_environment: bool,
    ) -> None:
        self._profiles = profiles
        self._store = store
        self._connect = connect
        self._remembered = remembered
        self.from_environment = from_environment

    @property
    def current(self) -> str:
        return self._profiles.current

    def list(self) -> list[Profile]:
        return self._profiles.list()

    def get(self, name: str) -> Profile:
        return self._profiles.get(name)

    async def create(self, name: str, server: str) -> Profile:
        return await self._profiles.create(name, server)

    async def use(self, name: str) -> Profile:
        return await self._profiles.use(name)

    async def delete(self, name: str) -> None:
        await self._forget(name)
        await self._profiles.delete(name)

    async def keep(self, server: str, tokens: Tokens) -> Profile:
        return await self._keep(Credentials.of(server, tokens))

    async def keep_key(self, server: str, key: str) -> Profile:
        headers = {"authorization": f"Bearer {key}", "accept": "application/json"}
        way = await self._connect()
        reply = await way.send(Request("GET", "/api/auth/me", headers))
        if reply.status != 200:
            raise refusal(reply, way.name)
        identity = Identity.model_validate_json(reply.body)
        return await self._keep(Credentials(server=server, user=identity.name, access_token=key))

    async def _keep(self, credentials: Credentials) -> Profile:
        name = self._name_for(credentials.server)
        place = await self._store.keep(name, credentials, self._profiles.place)
        await self._profiles.signed_in(name, credentials.server, credentials.user, place)
        self._remembered.pop(f"{self._store.folder} {name}", None)
        return self._profiles.get(name)

    def _name_for(self, server: str) -> str:
        """Return the profile that is named, else one of the server, else a new one."""
        named = self._profiles.named
        if named is not None and named != LOCAL_PROFILE:
            return named
        for each in self._profiles.list():
            if each.server == server:
                return each.name
        return name_for(server)

    async def take(self, name: str) -> tuple[str | None, bool]:
        kept = self._profiles.find(name)
        place = kept.credentials if kept is not None else None
        credentials = await self._store.load(name, place) if place is not None else None
        await self._forget(name)
        if place is not None:
            await self._profiles.signed_out(name)
        return credentials.refresh_token if credentials is not None else None, credentials is not None

    async def _forget(self, name: str) -> None:
        kept = self._profiles.find(name)
        self._remembered.pop(f"{self._store.folder} {name}", None)
        if kept is not None and kept.credentials is not None:
            await self._store.forget(name, kept.credentials)

    async def device(self, server: str, show: "Show") -> Tokens:
        from nexus.client.device import sign_in_as_device

        return await sign_in_as_device(await self._connect(), server, show)
