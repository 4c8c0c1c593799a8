"""How the kernel is known to its Vault: by a token or as an AppRole, renewed in time, and anew when that ends."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nexus.kernel.settings import VaultAddress
from nexus.kernel.vault.term import Term
from nexus.kernel.vault.wire import Asked, Body, Wire
from nexus.schemas.errors import NexusError, NotFound, VaultDenied, VaultFailed, VaultSignInFailed

MOST_BYTES = 64 * 1024
LAST_SECONDS = 0.5
SIGN_IN = Asked("sign in at", "auth")
RENEW = Asked("renew", "auth/token/renew-self")
LOOK = Asked("look up", "auth/token/lookup-self")

log = logging.getLogger("nexus.kernel.vault")


class Keeping(Protocol):
    """Where the token of a sign-in is kept, sealed: what it was lent ends with it."""

    def read(self, name: str) -> Mapping[str, Any] | None: ...

    def write(self, name: str, value: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the Vault's."""

    value: str = field(repr=False)
    term: Term


class SignIn:
    """One at a time; `token` returns one that is good."""

    def __init__(self, wire: Wire, address: VaultAddress, keeping: Keeping) -> None:
        self._wire = wire
        self._address = address
        self._keeping = keeping
        self._token: Token | None = None
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """Return a token, renewed if it is due. Raises `VaultSignInFailed`, and what the wire does."""
        async with self._lock:
            if self._token is None:
                self._token = await self._taken_up() or await self._begin()
            elif time.time() >= self._token.term.due:
                self._token = await self._renewed(self._token)
            return self._token.value

    async def anew(self, refused: str) -> str | None:
        """Return another token in the place of one that was refused; None when that is good, and just may not."""
        async with self._lock:
            if self._token is not None and self._token.value != refused:
                return self._token.value
            if await self._look_up(refused) is not None:
                return None
            self._token = await self._begin()
            return self._token.value if self._token.value != refused else None

    @property
    def due(self) -> float:
        """When the token is to be renewed, seconds since 1970."""
        return self._token.term.due if self._token is not None else float("inf")

    async def _begin(self) -> Token:
        if self._address.method == "token":
            value = await self._given("VAULT_TOKEN", self._address.token_file, "vault.token_file")
            term = await self._look_up(value)
            if term is None:
                raise VaultSignInFailed.because(
                    f"The Vault at {self._address.url} does not take the kernel's token: it expired or was revoked.",
                    hint="Put a new one where it is read: in VAULT_TOKEN of nexus serve, or in vault.token_file.",
                )
            return Token(value, term)
        return await self._as_role()

    async def _as_role(self) -> Token:
        role = self._address.environment.get("VAULT_ROLE_ID") or self._address.role_id
        if not role:
            raise VaultSignInFailed.because("vault.role_id is not set.", hint="nexus settings config view")
        secret = await self._given("VAULT_SECRET_ID", self._address.secret_id_file, "vault.secret_id_file")
        mount = self._address.role_mount
        try:
            answer = await self._wire.body(
                "", SIGN_IN, lambda client: client.auth.approle.login(role, secret, use_token=False, mount_point=mount)
            )
        except (VaultDenied, VaultFailed, NotFound) as error:
            if isinstance(error, VaultFailed) and "path" not in error.data:
                # It was not understood, or was not there to refuse anything.
                raise
            raise VaultSignInFailed.because(
                f"The Vault at {self._address.url} does not take the kernel's role: {error}",
                hint="Give a secret id that is good in VAULT_SECRET_ID of nexus serve, or in vault.secret_id_file.",
            ) from error
        token = _lent(answer)
        self._keep(token)
        return token

    async def _renewed(self, token: Token) -> Token:
        """Return the token with more time, or another one; the same where neither can be had and it is good still."""
        try:
            if token.term.is_last:
                return await self._begin()
            answer = await self._wire.body(token.value, RENEW, lambda client: client.auth.token.renew_self())
            term = _lent(answer).term
            renewed = Token(token.value, token.term.renewed(term.seconds, renewable=term.renewable))
            self._keep(renewed)
        except VaultDenied:
            return await self._begin()
        except NexusError as error:
            if time.time() >= token.term.ends:
                raise
            log.warning("the kernel's token of the Vault is not renewed yet: %s", error)
            return token
        return renewed

    async def _look_up(self, value: str) -> Term | None:
        """Return how long a token is good; None for one that is not."""
        try:
            told = (await self._wire.body(value, LOOK, lambda client: client.auth.token.lookup_self()))["data"]
            left = float(told.get("ttl") or 0)
            # Whole seconds are told: none left is no time without an end, which has no moment to expire at.
            return Term(max(left, LAST_SECONDS) if told.get("expire_time") else left, bool(told.get("renewable")))
        except VaultDenied:
            return None

    async def _given(self, variable: str, path: Path | None, field: str) -> str:
        if given := self._address.environment.get(variable, "").strip():
            return given
        if path is None:
            raise VaultSignInFailed.because(f"Neither {variable} nor {field} is set.", field=field)
        try:
            given = (await asyncio.to_thread(_read, path)).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise VaultSignInFailed.because(
                f"{path} cannot be read: {reason}.", field=field, hint=f"Set {variable} for nexus serve, or {field}."
            ) from error
        if not given:
            raise VaultSignInFailed.because(f"{path} is empty.", field=field)
        return given

    # -- a sign-in outlives this process, as what was lent to it does

    def _keep(self, token: Token) -> None:
        if self._address.method == "approle":
            self._keeping.write(self._name, {"token": token.value, "first": token.term.first or token.term.seconds})

    async def _taken_up(self) -> Token | None:
        kept = self._keeping.read(self._name) if self._address.method == "approle" else None
        if kept is None:
            return None
        value = str(kept["token"])
        term = await self._look_up(value)
        if term is None or (term.seconds and term.seconds < 1):
            return None
        # What is left of it is no shorter time granted.
        return Token(value, Term(term.seconds, term.renewable, first=min(float(kept["first"]), term.seconds)))

    @property
    def _name(self) -> str:
        return f"sign-in {self._address.url} {self._address.namespace or ''} {self._address.role_mount}"


def _lent(answer: Body) -> Token:
    try:
        lent = answer["auth"]
        return Token(str(lent["client_token"]), Term(float(lent["lease_duration"]), bool(lent["renewable"])))
    except (KeyError, TypeError, ValueError):
        raise VaultFailed.because("The Vault's answer to a sign-in has no token.") from None


def _read(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(MOST_BYTES)
