"""Whether the audit chain is as it was written: read from its beginning to its sealed head, a piece at a time."""

import hmac
from typing import Any

from sqlalchemy import Connection, Row, func, select

from nexus.kernel.audit.chain import BEGIN, HEAD_ID, hash_of, seal_of
from nexus.kernel.store.schema import audit, audit_head
from nexus.kernel.store.store import Store
from nexus.schemas.audit import AuditVerdict, Fault

PIECE = 5000
"""So many records are read in one transaction: other readers have their turn between two."""


class Broken(Exception):
    """A record is not as it was written."""

    def __init__(self, seq: int, fault: Fault) -> None:
        super().__init__(seq, fault)
        self.seq = seq
        self.fault: Fault = fault


async def verify(store: Store, key: bytes) -> AuditVerdict:
    """Return what the chain is like. Records that are appended meanwhile are not looked at."""
    head, newest = await store.read(_ends)
    last = head.seq if head is not None else 0
    digest, seq = BEGIN, 0
    try:
        while seq < last:
            rows = await store.read(lambda connection: _piece(connection, seq, last))  # noqa: B023 -- awaited at once
            digest, seq = _check(key, rows, digest, seq)
        _check_end(key, head, newest, digest)
    except Broken as broken:
        return AuditVerdict(intact=False, records=seq, broken_at=broken.seq, fault=broken.fault)
    return AuditVerdict(intact=True, records=last)


def _ends(connection: Connection) -> tuple[Row[Any] | None, int]:
    head = connection.execute(select(audit_head).where(audit_head.c.id == HEAD_ID)).one_or_none()
    return head, int(connection.execute(select(func.max(audit.c.seq))).scalar_one() or 0)


def _piece(connection: Connection, after: int, last: int) -> list[tuple[int, str, bytes]]:
    wanted = select(audit.c.seq, audit.c.record, audit.c.hash).where(audit.c.seq > after, audit.c.seq <= last)
    return [
        (seq, record, digest) for seq, record, digest in connection.execute(wanted.order_by(audit.c.seq).limit(PIECE))
    ]


def _check(key: bytes, rows: list[tuple[int, str, bytes]], digest: bytes, after: int) -> tuple[bytes, int]:
    """Follow the chain over some rows; return where it stands behind them."""
    expected = after
    if not rows:
        raise Broken(after + 1, "cut")
    for seq, record, kept in rows:
        expected += 1
        if seq != expected:
            raise Broken(expected, "cut")
        if not record.startswith(f'{{"seq":{seq},'):
            raise Broken(seq, "moved")
        digest = hash_of(key, digest, record)
        if digest != kept:
            raise Broken(seq, "changed")
    return digest, expected


def _check_end(key: bytes, head: Row[Any] | None, newest: int, digest: bytes) -> None:
    """Compare the chain's end with its sealed head."""
    if head is None:
        if newest:
            raise Broken(1, "sealed by nobody")
        return
    seal = seal_of(key, head.seq, bytes(head.hash))
    if not hmac.compare_digest(seal, bytes(head.seal)) or bytes(head.hash) != digest:
        raise Broken(head.seq + 1, "cut")
    if newest > head.seq:
        raise Broken(head.seq + 1, "added")
