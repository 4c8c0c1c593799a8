"""Uploads: begun, found again, completed into a data set or an artifact, or given up."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Row, delete, insert, select, update

from nexus.kernel.api.idempotency import Idempotency
from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.data.contents import keep, remove_released
from nexus.kernel.data.store import URL_SECONDS, BlobStore, Draft
from nexus.kernel.store.rows import new_id, now
from nexus.kernel.store.schema import uploads
from nexus.kernel.store.store import Store
from nexus.schemas.data import Completion, DataKind, NewUpload, PartsQuery, Stored, Upload
from nexus.schemas.data import Part as UploadPart
from nexus.schemas.errors import ChecksumMismatch, UploadExpired
from nexus.schemas.kernel import Deleted
from nexus.schemas.model import rfc3339

KEPT = timedelta(days=7)
"""How long an upload is kept that nobody goes on with."""

ID_PREFIXES: dict[DataKind, str] = {"dataset": "dst", "artifact": "art"}
UPLOAD_PREFIX = "upl"

Open = Callable[[], Awaitable[BlobStore]]


class Becoming(Protocol):
    """The kind of item that an upload becomes."""

    def admit(self, connection: Connection, new: NewUpload) -> None:
        """Raise `Conflict` when it is known before a byte is sent that the item cannot be."""
        ...

    def make(self, connection: Connection, item_id: str, item: dict[str, Any], sha256: str, size: int) -> Stored:
        """Make the item, in the transaction that completes the upload. Raises `Conflict`."""
        ...

    def find(self, connection: Connection, item_id: str) -> Stored | None: ...


class Uploads:
    """The uploads of one kind. `open_store` opens what keeps the bytes, `becoming` is what is made of them."""

    def __init__(self, kind: DataKind, store: Store, open_store: Open, becoming: Becoming) -> None:
        self.kind = kind
        self.store = store
        self._open_store = open_store
        self._becoming = becoming
        self._turns = Idempotency(store)

    async def begin(self, request: ApiRequest[None, NewUpload]) -> Upload:
        """Begin an upload, or find one that was cut. Raises `Conflict` for a name that is taken, `StorageFull`."""
        new = request.body
        blobs = await self._open_store()
        item = new.model_dump(mode="json", by_alias=False, exclude={"size", "resume_key"})
        known = await self.store.read(lambda connection: self._begun_before(connection, new))
        if known is not None:
            return await self._go_on(known, item)
        row = await self.begun(blobs, item, new.size, new.resume_key)
        return await self._told(row, PartsQuery(), resumed=False)

    async def begun(self, blobs: BlobStore, item: dict[str, Any], size: int, resume_key: str | None = None) -> Row[Any]:
        """Write a new upload down and return its row. Raises as the store of the bytes."""
        upload_id = new_id(UPLOAD_PREFIX)
        moment = datetime.now(UTC)
        values = {
            "id": upload_id,
            "kind": self.kind,
            "item": item,
            "resume_key": resume_key,
            "size": size,
            "part_size": blobs.part_size(size),
            "draft": await blobs.begin(upload_id, size),
            "created_at": rfc3339(moment),
            "expires_at": rfc3339(moment + KEPT),
        }
        return await self.store.write(lambda connection: _inserted(connection, values))

    async def view(self, request: ApiRequest[PartsQuery, None]) -> Upload:
        """Return an upload with missing parts, each with a new URL. Raises `UploadExpired`."""
        row = await self.store.read(lambda connection: self._row(connection, request.path["id"]))
        return await self._told(row, request.query, resumed=True)

    async def complete(self, request: ApiRequest[None, Completion]) -> Stored:
        """Make the item of an upload that has arrived; one that was made before is returned again.

        Raises `UploadExpired`, `UploadIncomplete`, `ChecksumMismatch`, and `Conflict` when the name is taken by now.
        """
        upload_id = request.path["id"]
        async with self._turns.turn(upload_id):
            return await self._complete(request, upload_id, request.body.sha256)

    async def _complete(self, request: ApiRequest[None, Completion], upload_id: str, sha256: str) -> Stored:
        item_id = self.item_id(upload_id)
        made = await self.store.read(lambda connection: self._becoming.find(connection, item_id))
        if made is not None and made.sha256 == sha256:
            return made
        row = await self.store.read(lambda connection: self._row(connection, upload_id))
        blobs = await self._open_store()
        try:
            place = await blobs.finish(draft_of(row), sha256)
        except (ChecksumMismatch, UploadExpired):
            # Its bytes are gone, and so is what was told of them.
            await self.store.write(lambda connection: forget(connection, upload_id))
            raise

        item = await request.write(lambda connection: self.made(connection, upload_id, sha256, place))
        await remove_released(self.store, self._open_store)
        return item

    def made(self, connection: Connection, upload_id: str, sha256: str, place: str) -> Stored:
        """Make the item of an upload whose bytes have their place, and forget the upload. Raises `UploadExpired`."""
        current = self._row(connection, upload_id)
        keep(connection, sha256, current.size, place)
        item = self._becoming.make(connection, self.item_id(upload_id), current.item, sha256, current.size)
        forget(connection, upload_id)
        return item

    async def abort(self, request: ApiRequest[None, None]) -> Deleted:
        """Give an upload up. Raises `UploadExpired`."""
        upload_id = request.path["id"]
        row = await self.store.read(lambda connection: self._row(connection, upload_id))
        await (await self._open_store()).drop(draft_of(row))
        await self.store.write(lambda connection: forget(connection, upload_id))
        return Deleted(id=upload_id)

    def item_id(self, upload_id: str) -> str:
        """Return the id of the item that an upload becomes: so one upload never becomes two."""
        return f"{ID_PREFIXES[self.kind]}{upload_id.removeprefix(UPLOAD_PREFIX)}"

    async def _go_on(self, known: Row[Any], item: dict[str, Any]) -> Upload:
        values = {"item": item, "expires_at": rfc3339(datetime.now(UTC) + KEPT)}

        def work(connection: Connection) -> Row[Any]:
            connection.execute(update(uploads).where(uploads.c.id == known.id).values(values))
            return self._row(connection, known.id)

        return await self._told(await self.store.write(work), PartsQuery(), resumed=True)

    async def _told(self, row: Row[Any], query: PartsQuery, *, resumed: bool) -> Upload:
        blobs = await self._open_store()
        draft = draft_of(row)
        arrived, parts = await blobs.arrived(draft), draft.parts
        missing = [number for number in range(query.after + 1, parts.count + 1) if number not in arrived]
        expires = int(time.time()) + URL_SECONDS
        return Upload(
            id=row.id,
            kind=self.kind,
            name=row.item["name"],
            size=row.size,
            part_size=row.part_size,
            part_count=parts.count,
            transferred=sum(parts.span(number).size for number in arrived),
            parts=[_part(blobs, draft, number, expires) for number in missing[: query.limit]],
            more=len(missing) > query.limit,
            resumed=resumed,
            expires_at=row.expires_at,
        )

    def _begun_before(self, connection: Connection, new: NewUpload) -> Row[Any] | None:
        self._becoming.admit(connection, new)
        if new.resume_key is None:
            return None
        fits = (
            (uploads.c.kind == self.kind) & (uploads.c.resume_key == new.resume_key) & (uploads.c.size == new.size)
        ) & (uploads.c.expires_at > now())
        return connection.execute(select(uploads).where(fits).order_by(uploads.c.created_at.desc()).limit(1)).first()

    def _row(self, connection: Connection, upload_id: str) -> Row[Any]:
        return upload_row(connection, upload_id, self.kind)


def upload_row(connection: Connection, upload_id: str, kind: DataKind | None = None) -> Row[Any]:
    """Return an upload's row. Raises `UploadExpired` when there is none of this kind."""
    row = connection.execute(select(uploads).where(uploads.c.id == upload_id)).one_or_none()
    if row is None or kind not in (None, row.kind):
        raise UploadExpired(upload_id=upload_id[:100])
    return row


def draft_of(row: Row[Any]) -> Draft:
    """Return an upload as the store of the bytes knows it."""
    return Draft(row.id, row.size, row.part_size, row.draft)


def forget(connection: Connection, upload_id: str) -> int:
    """Delete an upload's row."""
    return connection.execute(delete(uploads).where(uploads.c.id == upload_id)).rowcount


def _inserted(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    connection.execute(insert(uploads).values(values))
    return upload_row(connection, values["id"])


def _part(blobs: BlobStore, draft: Draft, number: int, expires: int) -> UploadPart:
    span = draft.parts.span(number)
    return UploadPart(number=number, offset=span.first, size=span.size, url=blobs.part_url(draft, number, expires))
