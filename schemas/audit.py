"""The audit chain: what was done, by whom, from where; and whether it is as it was written."""

from typing import Literal

from pydantic import Field

from nexus.schemas.model import MOST_WHOLE, Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery

Fault = Literal["changed", "moved", "cut", "added", "sealed by nobody"]


class AuditRecord(Model):
    """One write, or one request that was denied. `by` says what signed it in: socket, token, key, none."""

    seq: int
    timestamp: Timestamp
    user: str
    user_id: str | None = None
    by: str
    address: str | None = None
    operation: str
    outcome: Literal["done", "denied"]
    request: str | None = None
    request_id: str | None = None
    session: str | None = None
    name: str | None = None
    code: str | None = None


class AuditQuery(PageQuery):
    user: str | None = Field(default=None, max_length=100)
    operation: str | None = Field(default=None, max_length=200)
    outcome: Literal["done", "denied"] | None = None


class AuditVerdict(Model):
    """`broken_at` is the first record that is not as it was written; null when all are."""

    intact: bool
    records: int
    broken_at: int | None = None
    fault: Fault | None = None


class ExportQuery(StrictModel):
    after: int = Field(default=0, ge=0, le=MOST_WHOLE)
    limit: int = Field(default=1000, ge=1, le=5000)


class SealedRecord(Model):
    """A record as it is written, and its hash in hexadecimal digits."""

    record: str
    hash: str


class AuditHead(Model):
    """Where the chain ends, and the seal on it."""

    seq: int
    hash: str
    seal: str


class AuditExport(Model):
    """A piece of the chain behind `after`; without records, it is through."""

    records: list[SealedRecord]
    head: AuditHead | None = None
