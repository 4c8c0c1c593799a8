"""Who a request of a network comes from: its bearer, a token or an API key, read against the accounts as they are.

What a token's user may do is read again every few seconds, never from the token: a role that was taken away is gone.
"""

import time
from collections import OrderedDict
from dataclasses import replace
from hashlib import sha256
from typing import Any, Protocol

from sqlalchemy import Connection, Row, select

from nexus.kernel.accounts import api_keys, tokens
from nexus.kernel.accounts.families import digest
from nexus.kernel.accounts.users import patterns_of, roles_of
from nexus.kernel.caller import Caller
from nexus.kernel.keys import Keys
from nexus.kernel.store.account_tables import token_families, users
from nexus.kernel.store.rows import now
from nexus.kernel.store.store import Store
from nexus.schemas.errors import AuthInvalid, TokenExpired

REMEMBERED_SECONDS = 2.0
"""How long what was read of an account holds; so long after a change the old may still be let in."""
MOST_REMEMBERED = 4096
KEY_BEGIN = f"{api_keys.PREFIX}."


class Changes(Protocol):
    """Counts the changes of accounts over all processes of one server."""

    def changes(self) -> int: ...

    def changed(self) -> None: ...


class Access:
    """Tells callers by their bearers. `shared` is set where other processes of the server tell them too."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self.shared: Changes | None = None
        self._store = store
        self._keys = keys
        self._remembered: OrderedDict[str, tuple[float, Caller]] = OrderedDict()
        self._verified: OrderedDict[bytes, tokens.Claims] = OrderedDict()
        self._as_of = 0

    def forget(self) -> None:
        """Read every account anew: one of them was changed."""
        self._remembered.clear()
        if self.shared is not None:
            self.shared.changed()

    async def caller(self, bearer: str, address: str | None, *, connected: bool = False) -> Caller:
        """Return who a bearer is. Raises `AuthInvalid`, `TokenExpired`.

        Whoever is `connected` by a token stays so beyond its end, for as long as the sign-in that it came from lasts.
        """
        if bearer.startswith(KEY_BEGIN):
            return await self._of_key(bearer, address)
        return await self._of_token(bearer, address, connected=connected)

    async def _of_token(self, token: str, address: str | None, *, connected: bool) -> Caller:
        # A token's signature is checked once, its time at every request; the account is what is remembered for a while.
        claims = self._claims(token, connected=connected)
        place = f"{claims.user_id} {claims.family} {claims.generation} {address}"
        known = self._known(place)
        if known is not None:
            return known
        as_of = self._as_of
        found = await self._store.read(lambda connection: _of_claims(connection, claims))
        found = replace(found, address=address)
        self._remember(place, found, as_of)
        return found

    def _claims(self, token: str, *, connected: bool) -> tokens.Claims:
        """Return what a token says. Raises `AuthInvalid`, `TokenExpired` unless it is `connected`."""
        place = sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._verified.get(place)
        if claims is None:
            claims = self._verified[place] = tokens.read(self._keys.key("tokens"), token)
            while len(self._verified) > MOST_REMEMBERED:
                self._verified.popitem(last=False)
        if not connected and claims.is_past():
            raise TokenExpired
        return claims

    async def _of_key(self, key: str, address: str | None) -> Caller:
        place = f"{digest(key)} {address}"
        known = self._known(place)
        if known is not None:
            return known
        as_of = self._as_of
        found, row = await self._store.read(lambda connection: _of_api_key(connection, key))
        found = replace(found, address=address)
        self._remember(place, found, as_of)
        if api_keys.use_is_old(row):
            await self._store.write(lambda connection: api_keys.note_use(connection, row.id))
        return found

    def _known(self, place: str) -> Caller | None:
        if self.shared is not None and self.shared.changes() != self._as_of:
            self._as_of = self.shared.changes()
            self._remembered.clear()
        until, caller = self._remembered.get(place, (0.0, None))
        return caller if until > time.monotonic() else None

    def _remember(self, place: str, caller: Caller, as_of: int) -> None:
        if self.shared is not None and self.shared.changes() != as_of:
            # It was read while an account was changed.
            return
        self._remembered[place] = (time.monotonic() + REMEMBERED_SECONDS, caller)
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)


def _of_claims(connection: Connection, claims: tokens.Claims) -> Caller:
    user = connection.execute(select(users).where(users.c.id == claims.user_id)).one_or_none()
    if user is None or user.disabled or user.generation != claims.generation:
        raise AuthInvalid
    family = select(token_families.c.id).where(
        token_families.c.id == claims.family, token_families.c.expires_at > now()
    )
    if connection.execute(family).first() is None:
        # Signed out since.
        raise AuthInvalid
    return caller_for(connection, user, "token", family=claims.family)


def _of_api_key(connection: Connection, key: str) -> tuple[Caller, Row[Any]]:
    row = api_keys.find(connection, key)
    user = connection.execute(select(users).where(users.c.id == row.user_id)).one()
    if user.disabled:
        raise AuthInvalid
    scopes = tuple(row.scopes) if row.scopes is not None else None
    return replace(caller_for(connection, user, "key"), scopes=scopes), row


def caller_for(connection: Connection, user: Row[Any], by: Any, *, family: str | None = None) -> Caller:
    """Return a user as a caller."""
    granted = roles_of(connection, user.id)
    return Caller(
        name=user.name,
        signed_in_by=by,
        patterns=patterns_of(granted),
        user_id=user.id,
        roles=tuple(role.name for role in granted),
        family=family,
    )
