"""Devices without a keyboard of their own: they show a code, and a person approves it elsewhere (RFC 8628)."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from nexus.kernel.accounts.families import digest
from nexus.kernel.store.account_tables import device_codes
from nexus.schemas.errors import NotFound, RateLimited
from nexus.schemas.model import rfc3339

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no code is a word; 20 to the 8th of them (RFC 8628, section 6.1)."""

LASTS = timedelta(minutes=10)
INTERVAL = 5
SLOWER = 5
MOST_WAITING = 1000

Verdict = Literal["authorization_pending", "slow_down", "access_denied", "expired_token"]
"""What a device that polls is told while it has no token (RFC 8628, section 3.5)."""


class Codes(NamedTuple):
    """What a device is given: its own code, the one it shows, and how long and how often it may ask."""

    device: str
    user: str
    seconds: int
    interval: int


def begin(connection: Connection, client: str) -> Codes:
    """Begin. Raises `RateLimited` when too many devices wait."""
    now = datetime.now(UTC)
    connection.execute(delete(device_codes).where(device_codes.c.expires_at < rfc3339(now)))
    if int(connection.execute(select(func.count()).select_from(device_codes)).scalar_one()) >= MOST_WAITING:
        raise RateLimited(retry_after_ms=60_000)
    letters = "".join(secrets.choice(LETTERS) for _ in range(8))
    codes = Codes(secrets.token_urlsafe(32), f"{letters[:4]}-{letters[4:]}", int(LASTS.total_seconds()), INTERVAL)
    connection.execute(
        insert(device_codes).values(
            hash=digest(codes.device),
            user_code=codes.user,
            client=client,
            status="pending",
            interval=INTERVAL,
            expires_at=rfc3339(now + LASTS),
        )
    )
    return codes


def decide(connection: Connection, user_code: str, user_id: str, *, deny: bool) -> Row[Any]:
    """Approve or deny the device that shows a code. Raises `NotFound` for one that no device waits with."""
    letters = "".join(letter for letter in user_code.upper() if letter.isalpha())
    code = f"{letters[:4]}-{letters[4:]}"
    wanted = (device_codes.c.user_code == code) & (device_codes.c.status == "pending")
    row = connection.execute(
        select(device_codes).where(wanted, device_codes.c.expires_at >= rfc3339(datetime.now(UTC)))
    ).one_or_none()
    if row is None:
        raise NotFound(resource="device that waits with the code", reference=user_code[:20], hint="nexus help")
    verdict = {"status": "denied" if deny else "approved", "user_id": user_id}
    connection.execute(update(device_codes).where(device_codes.c.hash == row.hash).values(verdict))
    return row


def poll(connection: Connection, device_code: str) -> Verdict | str:
    """Return the id of the user who approved, once, or what the device is told in its place."""
    now = datetime.now(UTC)
    place = device_codes.c.hash == digest(device_code)
    row = connection.execute(select(device_codes).where(place).with_for_update()).one_or_none()
    if row is None or row.expires_at < rfc3339(now):
        return "expired_token"
    if row.status == "approved":
        connection.execute(delete(device_codes).where(place))
        return str(row.user_id)
    if row.status == "denied":
        connection.execute(delete(device_codes).where(place))
        return "access_denied"
    early = row.polled_at is not None and row.polled_at > rfc3339(now - timedelta(seconds=row.interval - 1))
    interval = row.interval + SLOWER if early else row.interval
    connection.execute(update(device_codes).where(place).values(polled_at=rfc3339(now), interval=interval))
    return "slow_down" if early else "authorization_pending"
