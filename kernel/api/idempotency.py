"""Writes that are sent again: the first answer is kept for a day and given once more, the work is not done twice."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel
from sqlalchemy import Connection, delete, insert, select

from nexus.kernel.store.schema import answers
from nexus.kernel.store.store import Store
from nexus.schemas.errors import Conflict, ValidationError
from nexus.schemas.model import rfc3339

KEPT = timedelta(hours=24)
MOST_CHARACTERS = 200


class Idempotency:
    """The keys of the requests that are under way, one turn at a time for each."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Hold the key: a request that is sent again while the first is under way waits for its answer."""
        lock, holders = self._turns.get(key, (asyncio.Lock(), 0))
        self._turns[key] = (lock, holders + 1)
        try:
            async with lock:
                yield
        finally:
            lock, holders = self._turns.pop(key)
            if holders > 1:
                self._turns[key] = (lock, holders - 1)

    def key(self, key: str, fingerprint: str) -> "IdempotencyKey":
        """Return one request's key."""
        return IdempotencyKey(self.store, key, fingerprint)


class AlreadyDone(Exception):
    """The work was done under this key; `body` is how it was answered."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """One request's key: whether it has its answer, and where that is kept."""

    store: Store
    key: str
    fingerprint: str

    async def earlier(self) -> bytes | None:
        """Return the body that this key was answered with. Raises `Conflict` when it was another request."""
        return await self.store.read(self._find)

    def refuse_done(self, connection: Connection) -> None:
        """Raise `AlreadyDone` when the key has its answer by now.

        A client may leave while its write is under way, and send it again before that is committed.
        """
        body = self._find(connection)
        if body is not None:
            raise AlreadyDone(body)

    def keep(self, connection: Connection, result: BaseModel) -> None:
        """Keep the answer, in the transaction that did the work."""
        now = datetime.now(UTC)
        connection.execute(
            delete(answers).where((answers.c.created_at < rfc3339(now - KEPT)) | (answers.c.key == self.key))
        )
        body = result.__pydantic_serializer__.to_json(result, by_alias=True)
        values = {"key": self.key, "fingerprint": self.fingerprint, "body": body, "created_at": rfc3339(now)}
        connection.execute(insert(answers).values(values))

    def _find(self, connection: Connection) -> bytes | None:
        query = select(answers.c.fingerprint, answers.c.body).where(
            answers.c.key == self.key, answers.c.created_at >= rfc3339(datetime.now(UTC) - KEPT)
        )
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if row.fingerprint != self.fingerprint:
            raise Conflict.because(
                f"The idempotency key {self.key!r} was used for another request.",
                hint="Use a new key for a new request.",
                idempotency_key=self.key,
            )
        return bytes(row.body)


def checked_key(key: str) -> str:
    """Return a key that may be used. Raises `ValidationError` when it is empty, too long or no plain text."""
    if not key or len(key) > MOST_CHARACTERS or not key.isprintable():
        raise ValidationError.because(
            f"An idempotency key has 1 to {MOST_CHARACTERS} printable characters.", field="idempotency-key"
        )
    return key


def fingerprint_of(method: str, path: str, query: bytes, body: bytes) -> str:
    """Return what tells two requests apart."""
    digest = hashlib.sha256()
    for part in (method.encode(), path.encode("utf-8", "surrogateescape"), query, body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
