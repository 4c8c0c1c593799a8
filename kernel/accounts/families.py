"""Sign-ins: each is a family of refresh tokens that follow one another, of which one is good at a time.

A used token that comes again is in two hands: the whole family ends (RFC 9700, section 4.14). One exception keeps an
answer that was lost from ending a sign-in: the token just before the good one is taken for some seconds, while the good
one was never used; the good one is replaced then, so that of two hands the slower one is found out.
"""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, insert, select, update

from nexus.kernel.store.account_tables import token_families, users
from nexus.kernel.store.rows import new_id
from nexus.schemas.errors import AuthInvalid
from nexus.schemas.model import rfc3339

PREFIX = "nxr"
KEPT = timedelta(days=30)
"""So long after its last use a sign-in lasts."""
LOST_ANSWER = timedelta(seconds=20)


class Rotated(NamedTuple):
    """A family and its user, and the refresh token that is good from now on."""

    family: str
    user: Row[Any]
    token: str


class Replayed(Exception):
    """A used token came again; its family was ended. `user` is whose it was."""

    def __init__(self, user: Row[Any]) -> None:
        super().__init__()
        self.user = user


def digest(token: str) -> str:
    """Return what is kept of a token: it is random enough to need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def begin(connection: Connection, user_id: str) -> tuple[str, str]:
    """Begin a sign-in and return its id and first refresh token."""
    family = new_id("sig")
    token = _fresh(family)
    now = datetime.now(UTC)
    connection.execute(delete(token_families).where(token_families.c.expires_at < rfc3339(now)))
    connection.execute(
        insert(token_families).values(
            id=family,
            user_id=user_id,
            current=digest(token),
            rotated_at=rfc3339(now),
            created_at=rfc3339(now),
            expires_at=rfc3339(now + KEPT),
        )
    )
    return family, token


def rotate(connection: Connection, token: str) -> Rotated | Replayed:
    """Take a refresh token for the next one. Returns `Replayed` when it had been used: the family is gone then.

    Raises `AuthInvalid` for a token that belongs to no sign-in. A replay is returned, for its end must be committed.
    """
    row = _find(connection, token)
    user = connection.execute(select(users).where(users.c.id == row.user_id)).one()
    now = datetime.now(UTC)
    given = digest(token)
    previous = row.previous
    if hmac.compare_digest(given, row.current):
        previous = row.current
    elif not _answer_was_lost(row, given, now):
        end(connection, row.id)
        return Replayed(user)
    if user.disabled or row.expires_at < rfc3339(now):
        end(connection, row.id)
        raise AuthInvalid
    token = _fresh(row.id)
    connection.execute(
        update(token_families)
        .where(token_families.c.id == row.id)
        .values(current=digest(token), previous=previous, rotated_at=rfc3339(now), expires_at=rfc3339(now + KEPT))
    )
    return Rotated(row.id, user, token)


def family_of(token: str) -> str:
    """Return the sign-in that a refresh token names. Raises `AuthInvalid` for what is none."""
    parts = token.split(".")
    if len(parts) != 3 or parts[0] != PREFIX:
        raise AuthInvalid
    return parts[1]


def end(connection: Connection, family: str) -> int:
    """End a sign-in; return how many there were of it."""
    return connection.execute(delete(token_families).where(token_families.c.id == family)).rowcount


def end_all(connection: Connection, user_id: str) -> int:
    """End every sign-in of a user."""
    return connection.execute(delete(token_families).where(token_families.c.user_id == user_id)).rowcount


def _find(connection: Connection, token: str) -> Row[Any]:
    # Of two that come with one token, one is first: the row is locked where the database has more than one writer.
    query = select(token_families).where(token_families.c.id == family_of(token)).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise AuthInvalid
    return row


def _answer_was_lost(row: Row[Any], given: str, now: datetime) -> bool:
    fresh = row.rotated_at >= rfc3339(now - LOST_ANSWER)
    return fresh and row.previous is not None and hmac.compare_digest(given, row.previous)


def _fresh(family: str) -> str:
    return f"{PREFIX}.{family}.{secrets.token_urlsafe(32)}"
