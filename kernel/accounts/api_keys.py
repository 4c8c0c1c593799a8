"""API keys: for programs, bound by scopes, kept as hashes, told once."""

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from nexus.kernel.accounts.families import digest
from nexus.kernel.caller import Caller
from nexus.kernel.store.account_tables import api_keys, users
from nexus.kernel.store.lookup import values_of
from nexus.kernel.store.rows import new_id, now
from nexus.schemas.account import ApiKey, ApiKeyMade, NewApiKey
from nexus.schemas.errors import AuthInvalid, NotFound, PermissionDenied, TokenExpired
from nexus.schemas.model import rfc3339

PREFIX = "nxk"
USE_NOTED = timedelta(minutes=1)
"""A key's last use is written down no more often than this."""


def make(connection: Connection, caller: Caller, user: Row[Any], new: NewApiKey) -> ApiKeyMade:
    """Make a key of the caller's own. Raises `PermissionDenied` for a scope that the caller's own do not cover."""
    for scope in new.scopes:
        if not caller.covers(scope):
            raise PermissionDenied.because(f"{scope} is more than you may do yourself.", field="scopes")
    scopes = new.scopes or (list(caller.scopes) if caller.scopes is not None else None)
    identity = new_id("key")
    key = f"{PREFIX}.{identity}.{secrets.token_urlsafe(32)}"
    values = {
        "id": identity,
        "user_id": user.id,
        "name": new.name,
        "hash": digest(key),
        "scopes": scopes,
        "created_at": now(),
        "expires_at": rfc3339(datetime.now(UTC) + timedelta(days=new.days)) if new.days else None,
        "last_used_at": None,
    }
    connection.execute(insert(api_keys).values(values))
    return ApiKeyMade.model_validate({**values, "user": user.name, "key": key})


def find(connection: Connection, key: str) -> Row[Any]:
    """Return the row of a key that is good. Raises `AuthInvalid`, `TokenExpired`."""
    parts = key.split(".")
    if len(parts) != 3 or parts[0] != PREFIX:
        raise AuthInvalid
    row = connection.execute(select(api_keys).where(api_keys.c.id == parts[1])).one_or_none()
    if row is None or not hmac.compare_digest(row.hash, digest(key)):
        raise AuthInvalid
    if row.expires_at is not None and row.expires_at <= now():
        raise TokenExpired
    return row


def use_is_old(row: Row[Any]) -> bool:
    """Say whether the last use that was written down is long enough ago."""
    return row.last_used_at is None or bool(row.last_used_at < rfc3339(datetime.now(UTC) - USE_NOTED))


def note_use(connection: Connection, identity: str) -> None:
    """Write down that a key was used."""
    connection.execute(update(api_keys).where(api_keys.c.id == identity).values(last_used_at=now()))


def of_row(row: Row[Any]) -> ApiKey:
    """Return a key as it is told, of a row that has the user's name beside it."""
    return ApiKey.model_validate({**values_of(row), "user": row.user_name})


def listed() -> Any:
    """Return what finds all keys with their users."""
    return select(api_keys, users.c.name.label("user_name")).join(users, users.c.id == api_keys.c.user_id)


def revoke(connection: Connection, identity: str, *, user_id: str | None) -> None:
    """Take a key away; with `user_id` it must be that user's. Raises `NotFound`."""
    wanted = delete(api_keys).where(api_keys.c.id == identity)
    if user_id is not None:
        wanted = wanted.where(api_keys.c.user_id == user_id)
    if not connection.execute(wanted).rowcount:
        raise NotFound(resource="key", reference=identity, hint="nexus settings key list")
