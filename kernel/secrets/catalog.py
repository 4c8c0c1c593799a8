"""The secrets of a kernel, wherever their values are: sealed in its database, in a Vault, or lent by one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection, Row

from nexus.kernel.paging import cut
from nexus.kernel.secrets.store import KEPT_IN_VAULT, Rotated, SecretRows, kept, lease_of, made_up, not_found, told
from nexus.kernel.store.rows import name_key
from nexus.kernel.store.store import Store
from nexus.schemas.errors import ConfigInvalid, NexusError, NotFound, ValidationError
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.secret import LeaseReference, Secret, SecretQuery, SecretRotation, SecretValue

if TYPE_CHECKING:
    from nexus.kernel.vault.vault import Vault

Result = TypeVar("Result", bound=BaseModel)
MOST_NAMES = 1000
"""So many of a Vault's secrets are listed."""
AT_ONCE = 8

SORTS: dict[str, Callable[[Secret], str]] = {
    "name": lambda secret: name_key(secret.name),
    "createdAt": lambda secret: secret.created_at.isoformat(),
    "rotatedAt": lambda secret: secret.rotated_at.isoformat(),
}

log = logging.getLogger("nexus.kernel.secrets")


class Write(Protocol):
    """Runs work in the one transaction that also keeps a request's answer."""

    def __call__(self, work: Callable[[Connection], Result]) -> Awaitable[Result]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A secret as programs get it: its value, or what the Vault is to lend."""

    name: str
    version: int
    value: str = field(default="", repr=False)
    lease: LeaseReference | None = None


class SecretCatalog:
    """Secrets by name. With a Vault new values go there; those that were sealed before stay readable where they are."""

    def __init__(self, store: Store, rows: SecretRows, vault: "Vault | None") -> None:
        self._store = store
        self._rows = rows
        self._vault = vault

    async def list(self, query: SecretQuery) -> Page[Secret]:
        """Return a page of what is told of secrets."""
        vault = self._vault
        if vault is None:
            return await self._store.read(lambda connection: self._rows.page(connection, query))
        rows = await self._store.read(lambda connection: self._rows.all(connection, query, MOST_NAMES))
        in_vault = [name for name in await vault.names() if _wants(query, name)][:MOST_NAMES]
        by_name = {row.name: row for row in rows}
        found = [told(row) for row in rows if kept(row) != "vault"]
        here = {secret.name for secret in found}
        room = asyncio.Semaphore(AT_ONCE)

        async def look(name: str) -> Secret | None:
            async with room:
                return await self._looked(vault, name, by_name.get(name))

        looked = await asyncio.gather(*(look(name) for name in in_vault if name not in here))
        found += [secret for secret in looked if secret is not None]
        items, cursor = cut(found, query, sorts=SORTS, order="name", identity=lambda secret: secret.name)
        return Page[Secret](items=items, next_cursor=cursor, truncated=cursor is not None)

    async def set(self, name: str, body: SecretValue, write: Write) -> Secret:
        """Make a secret, or give it another value."""
        if body.lease is not None:
            self._need_vault()
            source = {"kept": "lease", **body.lease.model_dump(by_alias=False, exclude_none=True)}
            return await write(lambda connection: told(self._rows.refer(connection, name, source)))
        value = body.value or ""
        if self._vault is None:
            return await write(lambda connection: told(self._rows.seal(connection, name, value)))
        version = await self._vault.write(name, value)
        return await write(lambda connection: told(self._rows.refer(connection, name, KEPT_IN_VAULT, version)))

    async def rotate(self, name: str, wanted: SecretRotation, write: Write) -> Secret:
        """Give a secret its next value. Raises `NotFound`."""
        row = await self._row(name)
        if row is None or kept(row) == "vault":
            return await self._rotate_in_vault(row.name if row is not None else name, wanted, write)

        def work(connection: Connection) -> Secret:
            found = self._rows.found(connection, name)
            if kept(found) == "lease":
                if wanted.value is not None:
                    raise ValidationError.because(f"{name} is lent by the Vault: it has no value of ours to give.")
                found = self._rows.refer(connection, found.name, found.source)
            else:
                found = self._rows.seal(connection, found.name, wanted.value or made_up(wanted.characters))
            return told(self._rows.schedule(connection, found, wanted))

        return await write(work)

    async def delete(self, name: str, write: Write) -> Deleted:
        """Delete a secret, from the Vault too. Raises `NotFound`."""
        row = await self._row(name)
        if row is None or kept(row) == "vault":
            if row is None and self._vault is None:
                raise not_found(name)
            vault = self._need_vault()
            if row is None:
                await self._in_vault(vault, name)
            await vault.delete(row.name if row is not None else name)

        def work(connection: Connection) -> Deleted:
            found = self._rows.find(connection, name)
            if found is None:
                if row is not None:
                    raise not_found(name)
                return Deleted(id=name)
            return Deleted(id=self._rows.delete(connection, found))

        return await write(work)

    async def rotate_due(self, told: Rotated) -> None:
        """Rotate what is due, once over all kernels; `told` hears of each. Raises storage errors."""
        for row in await self._store.write(partial(self._rows.rotate_due, told=told)):
            try:
                version = await self._need_vault().write(row.name, made_up(row.rotation["characters"]))
            except NexusError as error:
                log.warning("%s was due, and is not rotated yet: %s", row.name, error)
                continue
            await self._store.write(partial(self._rows.rotated, name=row.name, version=version, told=told))

    async def find(self, names: Sequence[str]) -> Sequence[Found]:
        """Return secrets as programs get them. Raises `NotFound`, `StorageCorrupt`, and the errors of the Vault."""
        return await asyncio.gather(*(self._find(name) for name in names))

    async def version(self, name: str) -> int | None:
        """Return the number of the newest value, None where there is no such secret now."""
        row = await self._row(name)
        if row is not None and kept(row) != "vault":
            return int(row.version)
        if self._vault is None:
            return None
        try:
            return (await self._vault.look(row.name if row is not None else name)).version
        except NotFound:
            return None

    async def _find(self, name: str) -> Found:
        row = await self._row(name)
        if row is None and self._vault is None:
            raise not_found(name)
        if row is None or kept(row) == "vault":
            found = row.name if row is not None else name
            try:
                value, version = await self._need_vault().read(found)
            except NotFound:
                raise not_found(name) from None
            return Found(found, version, value)
        if lease := lease_of(row):
            self._need_vault()
            return Found(row.name, row.version, lease=lease)
        return Found(row.name, row.version, self._rows.unsealed(row))

    async def _rotate_in_vault(self, name: str, wanted: SecretRotation, write: Write) -> Secret:
        if self._vault is None and await self._row(name) is None:
            raise not_found(name)
        vault = self._need_vault()
        await self._in_vault(vault, name)
        version = await vault.write(name, wanted.value or made_up(wanted.characters))

        def work(connection: Connection) -> Secret:
            row = self._rows.refer(connection, name, KEPT_IN_VAULT, version)
            return told(self._rows.schedule(connection, row, wanted))

        return await write(work)

    async def _in_vault(self, vault: "Vault", name: str) -> None:
        try:
            await vault.look(name)
        except NotFound:
            raise not_found(name) from None

    async def _looked(self, vault: "Vault", name: str, row: Row[Any] | None) -> Secret | None:
        try:
            entry = await vault.look(name)
        except NotFound:
            return None
        return Secret(
            name=name,
            version=entry.version,
            created_at=entry.created_at,
            rotated_at=entry.written_at,
            rotates_at=row.rotates_at if row is not None else None,
            kept="vault",
        )

    async def _row(self, name: str) -> Row[Any] | None:
        return await self._store.read(lambda connection: self._rows.find(connection, name))

    def _need_vault(self) -> "Vault":
        if self._vault is None:
            raise ConfigInvalid.because(
                "That is for a Vault to keep or to lend, and this kernel is told of none.",
                field="vault.url",
                hint="Set vault.url to its address, then start the kernel anew: nexus debug kernel restart",
            )
        return self._vault


def _wants(query: SecretQuery, name: str) -> bool:
    if query.name is not None and name_key(query.name) != name_key(name):
        return False
    return not query.filter or query.filter.casefold() in name.casefold()
