"""The audit chain: a record's hash holds the record before it, and a sealed head says where the chain ends.

A record is one JSON line that begins with its seq. Its hash is HMAC-SHA256, by a key that is not in the database, over
the hash before it and the line: who has the database alone can give no record a hash that fits, so that the first
record that was touched is the first that does not. The head is sealed by the same key, so that neither can a chain that
was cut at its end be given a head.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from nexus.kernel.keys import Keys
from nexus.kernel.store.schema import audit, audit_head
from nexus.schemas.model import rfc3339

BEGIN = bytes(32)
"""What the first record's hash holds in the place of one before it."""

HEAD_ID = 1
MOST_CHARACTERS = 4000


def hash_of(key: bytes, before: bytes, record: str) -> bytes:
    """Return the hash of a record that follows another."""
    return hmac.digest(key, before + record.encode(), "sha256")


def seal_of(key: bytes, seq: int, digest: bytes) -> bytes:
    """Return the seal of a chain's end."""
    return hmac.digest(key, b"head" + seq.to_bytes(8, "big") + digest, "sha256")


class Chain:
    """Appends records. Every append is part of the transaction that it is given; so is `begun`, with the first."""

    def __init__(self, keys: Keys, begun: Callable[[Connection], object] = lambda _connection: None) -> None:
        self._keys = keys
        self._begun = begun
        self._key: bytes | None = None

    @property
    def key(self) -> bytes:
        """The key that seals the head."""
        if self._key is None:
            self._key = self._keys.key("audit")
        return self._key

    def fits(self, connection: Connection) -> bool:
        """Say whether the head, if there is one, was sealed by this chain's key."""
        row = connection.execute(_SEAL).one_or_none()
        return row is None or hmac.compare_digest(bytes(row.seal), seal_of(self.key, row.seq, bytes(row.hash)))

    def append(self, connection: Connection, facts: Mapping[str, Any]) -> int:
        """Add a record and return its seq; what is None is left out."""
        # Kernels that share a database take turns at the head; SQLite has one writer as it is.
        row = connection.execute(_HEAD).one_or_none()
        seq, before = (row.seq + 1, bytes(row.hash)) if row else (1, BEGIN)
        record = line_of(seq, facts)
        digest = hash_of(self.key, before, record)
        connection.execute(_RECORD, {"seq": seq, "record": record, "hash": digest})
        head = {"seq": seq, "hash": digest, "seal": seal_of(self.key, seq, digest)}
        connection.execute(_FIRST if row is None else _NEXT, head)
        if row is None:
            self._begun(connection)
        return seq


def line_of(seq: int, facts: Mapping[str, Any]) -> str:
    """Write a record: nothing that was sent to us can end the line, nor stand for another field."""
    told = {name: _clipped(value) for name, value in facts.items() if value is not None}
    return json.dumps({"seq": seq, "timestamp": rfc3339(datetime.now(UTC)), **told}, separators=(",", ":"))


def _clipped(value: Any) -> Any:
    return value[:MOST_CHARACTERS] if isinstance(value, str) else value


_HEAD = select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == HEAD_ID).with_for_update()
_SEAL = select(audit_head.c.seq, audit_head.c.hash, audit_head.c.seal).where(audit_head.c.id == HEAD_ID)
_RECORD = insert(audit)
_FIRST = insert(audit_head).values(id=HEAD_ID)
_NEXT = update(audit_head).where(audit_head.c.id == HEAD_ID)
