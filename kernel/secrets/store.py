"""The rows of secrets: values that are sealed here, and where those are that are not."""

import secrets as randomness
import string
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, null, select, update

from nexus.kernel.keys import Keys
from nexus.kernel.secrets.sealing import seal, unseal
from nexus.kernel.store.account_tables import secrets
from nexus.kernel.store.lookup import values_of
from nexus.kernel.store.paging import Listing, contains
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.schemas.errors import NotFound
from nexus.schemas.model import rfc3339
from nexus.schemas.page import Page
from nexus.schemas.secret import LeaseReference, Secret, SecretQuery, SecretRotation

LETTERS = string.ascii_letters + string.digits
MOST_DUE = 100
"""So many are rotated at one look."""
CLAIM_SECONDS = 120
"""So long a kernel has for a rotation that it claimed, before another takes it up."""

KEPT_IN_VAULT = {"kept": "vault"}

Rotated = Callable[[Connection, str], None]
"""Writes down, in the same transaction, that the secret with the name was rotated."""


def told(row: Row[Any]) -> Secret:
    """Return what is told of a row."""
    return Secret.model_validate({**values_of(row), "kept": kept(row), "lease": lease_of(row)})


def kept(row: Row[Any]) -> Any:
    """Return where the value is."""
    return row.source["kept"] if row.source else "kernel"


def lease_of(row: Row[Any]) -> LeaseReference | None:
    """Return what the Vault lends in the place of a value."""
    if kept(row) != "lease":
        return None
    return LeaseReference(path=row.source["path"], field=row.source.get("field"))


LISTING = Listing(
    sorts={"name": secrets.c.name_key, "createdAt": secrets.c.created_at, "rotatedAt": secrets.c.rotated_at},
    order="name",
    id=secrets.c.id,
    item=told,
)


class SecretRows:
    """Rows of secrets, inside a transaction of whoever asks. The key of what is sealed is not in the database."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.key("secrets")

    def page(self, connection: Connection, query: SecretQuery) -> Page[Secret]:
        """Return a page of what is told of secrets."""
        return LISTING.page(connection, select(secrets).where(*_wanted(query)), query)

    def all(self, connection: Connection, query: SecretQuery, most: int) -> Sequence[Row[Any]]:
        """Return so many rows that the query wants, whatever its page."""
        return connection.execute(select(secrets).where(*_wanted(query)).order_by(secrets.c.name_key).limit(most)).all()

    def find(self, connection: Connection, name: str) -> Row[Any] | None:
        """Return the row of a name."""
        return connection.execute(select(secrets).where(secrets.c.name_key == name_key(name))).one_or_none()

    def found(self, connection: Connection, name: str) -> Row[Any]:
        """Return the row of a name. Raises `NotFound`."""
        row = self.find(connection, name)
        if row is None:
            raise not_found(name)
        return row

    def seal(self, connection: Connection, name: str, value: str) -> Row[Any]:
        """Keep a value sealed: a new secret's, or another one's next."""
        row = self.find(connection, name)
        version = row.version + 1 if row is not None else 1
        sealed = seal(self._key, row.name if row is not None else name, version, value)
        return self._put(connection, name, row, {"sealed": sealed, "version": version, "source": None})

    def refer(self, connection: Connection, name: str, source: dict[str, Any], version: int | None = None) -> Row[Any]:
        """Keep where a secret is instead of its value; without a version it is the next."""
        row = self.find(connection, name)
        if version is None:
            version = row.version + 1 if row is not None else 1
        return self._put(connection, name, row, {"sealed": b"", "version": version, "source": source})

    def schedule(self, connection: Connection, row: Row[Any], wanted: SecretRotation) -> Row[Any]:
        """Have a secret rotated again and again, or no more, where that is wanted; else its schedule begins anew."""
        every = wanted.every_seconds
        if wanted.by_hand:
            values: dict[str, Any] = {"rotation": null(), "rotates_at": None}
        elif every is not None:
            values = {"rotation": {"seconds": every, "characters": wanted.characters}, "rotates_at": _in(every)}
        elif row.rotation is not None:
            values = {"rotates_at": _in(row.rotation["seconds"])}
        else:
            return row
        connection.execute(update(secrets).where(secrets.c.id == row.id).values(values))
        return self.found(connection, row.name)

    def delete(self, connection: Connection, row: Row[Any]) -> str:
        """Delete a row and return its id."""
        connection.execute(delete(secrets).where(secrets.c.id == row.id))
        return str(row.id)

    def unsealed(self, row: Row[Any]) -> str:
        """Return the value of a row that has it. Raises `StorageCorrupt`."""
        return unseal(self._key, row.name, row.version, bytes(row.sealed))

    def rotate_due(self, connection: Connection, told: Rotated) -> Sequence[Row[Any]]:
        """Rotate what is due here, and return claimed what the Vault keeps and is due; `told` hears of each rotation.

        What is claimed is due again in two minutes, unless it was `rotated` by then: no two kernels have it at once,
        and none of them has it for ever.
        """
        due = select(secrets).where(secrets.c.rotates_at <= now()).order_by(secrets.c.rotates_at).limit(MOST_DUE)
        claimed = []
        for row in connection.execute(due).all():
            if kept(row) == "vault":
                claimed.append(row)
                self._next(connection, row, CLAIM_SECONDS)
                continue
            if kept(row) == "lease":
                self.refer(connection, row.name, row.source)
            else:
                self.seal(connection, row.name, made_up(row.rotation["characters"]))
            self._next(connection, row, row.rotation["seconds"])
            told(connection, row.name)
        return claimed

    def rotated(self, connection: Connection, name: str, version: int, told: Rotated) -> None:
        """Learn that what was claimed is rotated in the Vault."""
        row = self.find(connection, name)
        told(connection, name)
        if row is not None and row.rotation is not None:
            self.refer(connection, name, KEPT_IN_VAULT, version)
            self._next(connection, row, row.rotation["seconds"])

    def _next(self, connection: Connection, row: Row[Any], seconds: int) -> None:
        connection.execute(update(secrets).where(secrets.c.id == row.id).values(rotates_at=_in(seconds)))

    def _put(self, connection: Connection, name: str, row: Row[Any] | None, values: dict[str, Any]) -> Row[Any]:
        moment = now()
        values = {**values, "rotated_at": moment}
        if row is None:
            made = {"id": new_id("sec"), "name": name, "name_key": name_key(name), "created_at": moment}
            connection.execute(insert(secrets).values({**values, **made}))
        else:
            connection.execute(update(secrets).where(secrets.c.id == row.id).values(values))
        return self.found(connection, name)


def _wanted(query: SecretQuery) -> list[ColumnElement[bool]]:
    wanted = []
    if query.name is not None:
        wanted.append(secrets.c.name_key == name_key(query.name))
    if query.filter:
        wanted.append(contains((secrets.c.name,), query.filter))
    return wanted


def made_up(characters: int) -> str:
    """Return a value that nobody can guess."""
    return "".join(randomness.choice(LETTERS) for _ in range(characters))


def not_found(name: str) -> NotFound:
    """Return the error of a secret that there is not."""
    return NotFound(resource="secret", reference=name, hint="nexus settings secret list")


def _in(seconds: int) -> str:
    return rfc3339(datetime.now(UTC) + timedelta(seconds=seconds))
