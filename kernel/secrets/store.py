"""The secrets of a data folder: set, told of, rotated by hand or by themselves, and read for programs alone."""

import asyncio
import logging
import secrets as randomness
import string
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from nexus.kernel.keys import Keys
from nexus.kernel.secrets.sealing import seal, unseal
from nexus.kernel.store.account_tables import secrets
from nexus.kernel.store.lookup import values_of
from nexus.kernel.store.paging import Listing, contains
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.kernel.store.store import Store
from nexus.schemas.errors import NexusError, NotFound
from nexus.schemas.model import rfc3339
from nexus.schemas.page import Page
from nexus.schemas.secret import Secret, SecretQuery, SecretRotation

LETTERS = string.ascii_letters + string.digits
LOOK_SECONDS = 30.0

log = logging.getLogger("nexus.kernel.secrets")


def _told(row: Row[Any]) -> Secret:
    return Secret.model_validate(values_of(row))


LISTING = Listing(
    sorts={"name": secrets.c.name_key, "createdAt": secrets.c.created_at, "rotatedAt": secrets.c.rotated_at},
    order="name",
    id=secrets.c.id,
    item=_told,
)


class SecretStore:
    """Secrets in the database; their key is not in it."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._key = keys.key("secrets")

    async def list(self, query: SecretQuery) -> Page[Secret]:
        """Return a page of what is told of secrets."""
        wanted = select(secrets)
        if query.name is not None:
            wanted = wanted.where(secrets.c.name_key == name_key(query.name))
        if query.filter:
            wanted = wanted.where(contains((secrets.c.name,), query.filter))
        return await self._store.read(lambda connection: LISTING.page(connection, wanted, query))

    def set(self, connection: Connection, name: str, value: str) -> Secret:
        """Make a secret, or give it another value."""
        row = _row(connection, name)
        moment = now()
        if row is None:
            made = {
                "id": new_id("sec"),
                "name": name,
                "name_key": name_key(name),
                "sealed": seal(self._key, name, 1, value),
                "version": 1,
                "created_at": moment,
                "rotated_at": moment,
            }
            connection.execute(insert(secrets).values(made))
        else:
            self._renew(connection, row, value)
        return _told(_found(connection, name))

    def rotate(self, connection: Connection, name: str, wanted: SecretRotation) -> Secret:
        """Give a secret its next value. Raises `NotFound`."""
        row = _found(connection, name)
        self._renew(connection, row, wanted.value or made_up(wanted.characters))
        if wanted.every_seconds is not None:
            rotation = {"seconds": wanted.every_seconds, "characters": wanted.characters}
            connection.execute(
                update(secrets)
                .where(secrets.c.id == row.id)
                .values(rotation=rotation, rotates_at=_in(wanted.every_seconds))
            )
        return _told(_found(connection, name))

    def delete(self, connection: Connection, name: str) -> str:
        """Delete a secret and return its id. Raises `NotFound`."""
        row = _found(connection, name)
        connection.execute(delete(secrets).where(secrets.c.id == row.id))
        return str(row.id)

    async def values(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the values as programs get them. Raises `NotFound`, `StorageCorrupt`."""
        rows = await self._store.read(lambda connection: [_found(connection, name) for name in names])
        return {row.name: unseal(self._key, row.name, row.version, bytes(row.sealed)) for row in rows}

    async def known(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the values of those that are there still. Raises `StorageCorrupt`."""
        rows = await self._store.read(lambda connection: [_row(connection, name) for name in names])
        there = [row for row in rows if row is not None]
        return {row.name: unseal(self._key, row.name, row.version, bytes(row.sealed)) for row in there}

    async def keep_rotating(self) -> None:
        """Rotate what is due, for as long as the kernel runs."""
        while True:
            try:
                await self._store.write(self._rotate_due)
            except NexusError:
                log.exception("secrets that were due could not be rotated")
            await asyncio.sleep(LOOK_SECONDS)

    def _rotate_due(self, connection: Connection) -> None:
        due = select(secrets).where(secrets.c.rotates_at.is_not(None), secrets.c.rotates_at <= now())
        for row in connection.execute(due).all():
            self._renew(connection, row, made_up(row.rotation["characters"]))
            next_time = {"rotates_at": _in(row.rotation["seconds"])}
            connection.execute(update(secrets).where(secrets.c.id == row.id).values(next_time))

    def _renew(self, connection: Connection, row: Row[Any], value: str) -> None:
        version = row.version + 1
        sealed = seal(self._key, row.name, version, value)
        connection.execute(
            update(secrets).where(secrets.c.id == row.id).values(sealed=sealed, version=version, rotated_at=now())
        )


def made_up(characters: int) -> str:
    """Return a value that nobody can guess."""
    return "".join(randomness.choice(LETTERS) for _ in range(characters))


def _in(seconds: int) -> str:
    return rfc3339(datetime.now(UTC) + timedelta(seconds=seconds))


def _row(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(secrets).where(secrets.c.name_key == name_key(name))).one_or_none()


def _found(connection: Connection, name: str) -> Row[Any]:
    row = _row(connection, name)
    if row is None:
        raise NotFound(resource="secret", reference=name, hint="nexus settings secret list")
    return row
