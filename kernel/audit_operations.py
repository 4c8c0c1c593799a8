"""What stands behind the operations on the audit chain."""

import json

from sqlalchemy import Connection, Row, select

from nexus.kernel.api.late import Behind
from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.audit.chain import HEAD_ID, Chain
from nexus.kernel.audit.verify import verify
from nexus.kernel.store.paging import Listing, contains
from nexus.kernel.store.schema import audit, audit_head
from nexus.kernel.store.store import Store
from nexus.schemas.audit import (
    AuditExport,
    AuditHead,
    AuditQuery,
    AuditRecord,
    AuditVerdict,
    ExportQuery,
    SealedRecord,
)
from nexus.schemas.page import Page


def _record(row: Row[tuple[str]]) -> AuditRecord:
    return AuditRecord.model_validate_json(row.record)


LISTING = Listing(sorts={"seq": audit.c.seq, "timestamp": audit.c.seq}, order="-seq", id=audit.c.seq, item=_record)


class AuditOperations:
    """The chain of one kernel."""

    def __init__(self, store: Store, chain: Chain) -> None:
        self._store = store
        self._chain = chain

    def of(self, operation_id: str) -> Behind:
        """Return what stands behind an operation."""
        return {
            "settings.audit.list": Behind(self.list, Page[AuditRecord], query=AuditQuery),
            "settings.audit.verify": Behind(self.verify, AuditVerdict),
            "settings.audit.export": Behind(self.export, AuditExport, query=ExportQuery),
        }[operation_id]

    async def list(self, request: ApiRequest[AuditQuery, None]) -> Page[AuditRecord]:
        """Return a page of records, the newest first."""
        query = request.query
        wanted = select(audit.c.seq, audit.c.record)
        for name in ("user", "operation", "outcome"):
            value = getattr(query, name)
            if value is not None:
                # The record itself is what is held by the chain: a column beside it would be held by nothing.
                wanted = wanted.where(audit.c.record.contains(f'"{name}":{json.dumps(value)}', autoescape=True))
        if query.filter:
            wanted = wanted.where(contains((audit.c.record,), query.filter))
        return await self._store.read(lambda connection: LISTING.page(connection, wanted, query))

    async def verify(self, request: ApiRequest[None, None]) -> AuditVerdict:  # noqa: ARG002 -- every operation has one
        """Return whether the chain is as it was written."""
        return await verify(self._store, self._chain.key)

    async def export(self, request: ApiRequest[ExportQuery, None]) -> AuditExport:
        """Return a piece of the chain, and its head."""
        query = request.query

        def work(connection: Connection) -> AuditExport:
            wanted = select(audit.c.record, audit.c.hash).where(audit.c.seq > query.after)
            rows = connection.execute(wanted.order_by(audit.c.seq).limit(query.limit)).all()
            head = connection.execute(select(audit_head).where(audit_head.c.id == HEAD_ID)).one_or_none()
            told = AuditHead(seq=head.seq, hash=head.hash.hex(), seal=head.seal.hex()) if head is not None else None
            return AuditExport(
                records=[SealedRecord(record=row.record, hash=bytes(row.hash).hex()) for row in rows], head=told
            )

        return await self._store.read(work)
