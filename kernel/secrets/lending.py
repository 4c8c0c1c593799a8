"""Leases of a Vault's engines, as programs have them: lent, renewed, fetched anew, revoked."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from nexus.kernel.secrets.given import Given, Lent, digest_of, lent_of
from nexus.schemas.errors import ConfigInvalid, NexusError, NotFound, VaultDenied, VaultFailed, VaultUnavailable

if TYPE_CHECKING:
    from nexus.kernel.vault.vault import Lease, Vault

AGAIN_SECONDS = (1.0, 30.0)
"""What could not be done is tried again after a tenth of what is left, within these."""
TOKEN_SECONDS = 5.0
"""So long after it could not be renewed the kernel's token is tried again."""
AT_ONCE = 4

log = logging.getLogger("nexus.kernel.secrets")


class Lending:
    """What the Vault lends to programs; there may be no Vault."""

    def __init__(self, vault: "Vault | None") -> None:
        self._vault = vault
        self._token = ""
        self._again = 0.0
        """Before this moment the token is not tried again."""
        self._room = asyncio.Semaphore(AT_ONCE)

    @property
    def token_due(self) -> float:
        """When the kernel's token is to be renewed."""
        return max(self._vault.sign_in.due, self._again) if self._vault is not None else float("inf")

    async def keep_token(self) -> None:
        """Renew the kernel's token, if it is due: what was lent by it ends with it."""
        if self._vault is None or time.time() < self._again:
            return
        try:
            self._token = digest_of(await self._vault.sign_in.token())
        except NexusError as error:
            log.warning("the kernel's token of the Vault cannot be renewed: %s", error)
        if self._vault.sign_in.due <= time.time():
            self._again = time.time() + TOKEN_SECONDS

    async def lend(self, path: str, names: dict[str, str | None]) -> tuple[Lent, dict[str, str]]:
        """Have credentials lent, and return them with the values of the secrets that are fields of them.

        Raises the errors of the Vault, and `VaultFailed` where there is no such field; then nothing is lent.
        """
        vault = self._vault
        if vault is None:
            raise ConfigInvalid.because("There is no Vault to lend anything.", field="vault.url")
        async with self._room:
            lease = await vault.lease(path)
        try:
            values = {name: _value(lease, field) for name, field in names.items()}
        except VaultFailed:
            await self.revoke(lease.id, path)
            raise
        self._token = digest_of(lease.token)
        return lent_of(lease, names), values

    def is_due(self, lent: Lent) -> bool:
        """Whether it is time to renew it, or to have others lent: also when the token that it was lent to is over."""
        return time.time() >= lent.due or self._is_orphan(lent)

    async def renewed(self, lent: Lent) -> bool:
        """Make a lease longer; False where others are to be lent in its place."""
        from nexus.kernel.vault.term import Term

        vault = self._vault
        term = Term(lent.seconds, lent.renewable, began=lent.began, first=lent.first)
        if vault is None or not lent.id or term.is_last or self._is_orphan(lent):
            return False
        from nexus.kernel.vault.vault import Lease

        try:
            async with self._room:
                granted = await vault.renew(Lease(lent.id, lent.path, {}, term, lent.token))
        except VaultUnavailable as error:
            log.warning("the lease of %s is not renewed yet: %s", lent.path, error)
            self.fails(lent)
            return True
        except (VaultFailed, VaultDenied, NotFound):
            return False
        lent.seconds, lent.renewable, lent.began = granted.seconds, granted.renewable, granted.began
        lent.due = granted.due
        return True

    def fails(self, lent: Lent) -> bool:
        """Put off what could not be done; say whether its time is over, for the first time."""
        moment = time.time()
        left = lent.began + lent.seconds - moment
        was_over = lent.due > lent.began + lent.seconds > 0
        lent.due = moment + min(max(left / 10, AGAIN_SECONDS[0]), AGAIN_SECONDS[1])
        return left <= 0 and not was_over

    async def revoke(self, lease_id: str, path: str) -> bool:
        """End a lease; say whether it is over. One that cannot be ended now ends by itself, in its time."""
        if not lease_id:
            return True
        if self._vault is None:
            # A kernel that has the Vault does it, if one comes in time.
            return False
        try:
            async with self._room:
                await self._vault.revoke(lease_id, path)
        except (VaultUnavailable, ConfigInvalid) as error:
            log.warning("the lease of %s is not revoked yet: %s", path, error)
            return False
        except NexusError as error:
            log.warning("the lease of %s is left to end by itself: %s", path, error)
        return True

    async def revoke_all(self, given: Given) -> None:
        """End all that a program had lent; what could not be ended stays in it, until its time is over."""
        ids = [(lent.id, lent.path, lent.began + lent.seconds) for lent in given.lent if lent.id] + given.over
        given.lent = []
        moment = time.time()
        waiting = [each for each in ids if each[2] > moment]
        done = await asyncio.gather(*(self.revoke(lease_id, path) for lease_id, path, _ in waiting))
        given.over = [each for each, is_over in zip(waiting, done, strict=True) if not is_over]

    def _is_orphan(self, lent: Lent) -> bool:
        return bool(self._token) and bool(lent.id) and lent.token != self._token


def _value(lease: "Lease", field: str | None) -> str:
    if field is None:
        import json

        return json.dumps(dict(lease.data), separators=(",", ":"))
    if field not in lease.data:
        raise VaultFailed.because(
            f"What the Vault lends at {lease.path} has no field {field!r}.",
            field="field",
            available=sorted(lease.data),
            hint="Set the secret anew with one of the fields that are available.",
        )
    return lease.data[field]
