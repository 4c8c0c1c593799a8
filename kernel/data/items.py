"""Data sets and artifacts as rows: listed, changed, deleted with the bytes that nobody else has, fetched, verified."""

import hashlib
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, delete, func, insert, select, update

from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.data.contents import place_of, release, remove_released
from nexus.kernel.data.store import URL_SECONDS
from nexus.kernel.data.uploads import Open
from nexus.kernel.store.lookup import changed_values, find, refuse_taken, values_of
from nexus.kernel.store.paging import Listing, contains
from nexus.kernel.store.rows import name_key, now
from nexus.kernel.store.schema import artifacts, datasets
from nexus.kernel.store.store import Store
from nexus.schemas.data import (
    Artifact,
    ArtifactQuery,
    Dataset,
    DatasetQuery,
    Download,
    NewDataset,
    NewUpload,
    Stored,
    StoredChanges,
    Verification,
)
from nexus.schemas.errors import ChecksumMismatch
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page

NAMESPACE = "data"

Item = TypeVar("Item", bound=Stored)
Query = TypeVar("Query", DatasetQuery, ArtifactQuery)


class Items(ABC, Generic[Item, Query]):
    """One kind of item in one table."""

    def __init__(self, store: Store, open_store: Open, table: Table, model: type[Item]) -> None:
        self.store = store
        self.table = table
        self.model = model
        self._open_store = open_store
        columns = table.c
        self._listing = Listing(
            sorts={
                "id": columns.id,
                "name": columns.name_key,
                "size": columns.size,
                "filename": columns.filename,
                "createdAt": columns.created_at,
                "updatedAt": columns.updated_at,
                **self.more_sorts(),
            },
            order=self.order,
            id=columns.id,
            item=self._item,
        )

    order: str

    def more_sorts(self) -> dict[str, ColumnElement[Any]]:
        """Return what else this kind can be sorted by."""
        return {}

    @abstractmethod
    def wanted(self, query: Query) -> Select[Any]:
        """Return the rows that a query asks for, its text aside."""

    @abstractmethod
    def make(self, connection: Connection, item_id: str, item: dict[str, Any], sha256: str, size: int) -> Item:
        """Make the item of a completed upload."""

    def find(self, connection: Connection, item_id: str) -> Item | None:
        """Return the item, or None."""
        row = connection.execute(select(self.table).where(self.table.c.id == item_id)).one_or_none()
        return None if row is None else self._item(row)

    async def list(self, request: ApiRequest[Query, None]) -> Page[Item]:
        """Return a page of items."""
        query = request.query
        rows = self.wanted(query)
        if query.filter:
            columns = self.table.c
            rows = rows.where(contains((columns.name, columns.description, columns.filename, columns.id), query.filter))
        return await self.store.read(lambda connection: self._listing.page(connection, rows, query))

    async def view(self, request: ApiRequest[None, None]) -> Item:
        """Return one item. Raises `NotFound`."""
        return await self.store.read(lambda connection: self._item(self._row(connection, request)))

    async def change(self, request: ApiRequest[None, StoredChanges]) -> Item:
        """Change the fields that are given. Raises `NotFound`, `Conflict` for a name that is taken."""
        values = changed_values(request.body, ("name",))
        if "name" in values:
            values["name_key"] = name_key(values["name"])

        def work(connection: Connection) -> Item:
            row = self._row(connection, request)
            if "name" in values:
                self.refuse_taken(connection, values["name"], row.id)
            if values:
                fresh = {**values, "updated_at": now()}
                connection.execute(update(self.table).where(self.table.c.id == row.id).values(fresh))
            return self._item(self._row(connection, request))

        return await request.write(work)

    async def delete(self, request: ApiRequest[None, None]) -> Deleted:
        """Delete an item, and its bytes if nobody else has them. Raises `NotFound`."""

        def work(connection: Connection) -> Deleted:
            row = self._row(connection, request)
            connection.execute(delete(self.table).where(self.table.c.id == row.id))
            return Deleted(id=row.id, cascade={"blobs": int(release(connection, row.sha256))})

        deleted = await request.write(work)
        await remove_released(self.store, self._open_store)
        return deleted

    async def download(self, request: ApiRequest[None, None]) -> Download:
        """Return the URL of an item's bytes. Raises `NotFound`."""
        row, place = await self.store.read(lambda connection: self._placed(connection, request))
        expires = int(time.time()) + URL_SECONDS
        return Download(
            url=(await self._open_store()).url(place, row.filename, expires),
            filename=row.filename,
            size=row.size,
            sha256=row.sha256,
            expires_at=datetime.fromtimestamp(expires, UTC),
        )

    async def verify(self, request: ApiRequest[None, None]) -> Verification:
        """Read an item's bytes again. Raises `NotFound`, `ChecksumMismatch` when they are damaged."""
        row, place = await self.store.read(lambda connection: self._placed(connection, request))
        digest = hashlib.sha256()
        async for chunk in (await self._open_store()).read(place):
            digest.update(chunk)
        if digest.hexdigest() != row.sha256:
            raise ChecksumMismatch(
                what=f"What is stored of {row.name!r}",
                actual=digest.hexdigest(),
                expected=row.sha256,
                hint="Push it again under another name, then delete this one.",
            )
        return Verification(id=row.id, name=row.name, sha256=row.sha256, size=row.size)

    def admit(self, connection: Connection, new: NewUpload) -> None:
        """Raise `Conflict` when an upload can become no item."""

    def refuse_taken(self, connection: Connection, name: str, but: str | None) -> None:
        """Raise `Conflict` when the name is another item's, where that matters."""

    def insert(
        self, connection: Connection, item_id: str, item: dict[str, Any], sha256: str, size: int, **more: Any
    ) -> Item:
        """Insert a row for an item that was pushed."""
        moment = now()
        values = {
            "id": item_id,
            "name": item["name"],
            "name_key": name_key(item["name"]),
            "description": item["description"],
            "filename": item["filename"],
            "sha256": sha256,
            "size": size,
            "created_at": moment,
            "updated_at": moment,
            **more,
        }
        connection.execute(insert(self.table).values(values))
        return self.model.model_validate(values)

    def _item(self, row: Row[Any]) -> Item:
        return self.model.model_validate(values_of(row))

    def _row(self, connection: Connection, request: ApiRequest[Any, Any]) -> Row[Any]:
        return find(connection, self.table, request.path["id"], namespace=NAMESPACE)

    def _placed(self, connection: Connection, request: ApiRequest[Any, Any]) -> tuple[Row[Any], str]:
        row = self._row(connection, request)
        return row, place_of(connection, row.sha256)


class Datasets(Items[Dataset, DatasetQuery]):
    """No two have the same name; one of that name is replaced where that was asked for."""

    order = "name"

    def __init__(self, store: Store, open_store: Open) -> None:
        super().__init__(store, open_store, datasets, Dataset)

    def wanted(self, query: DatasetQuery) -> Select[Any]:
        rows = select(datasets)
        return rows if query.name is None else rows.where(datasets.c.name_key == name_key(query.name))

    def refuse_taken(self, connection: Connection, name: str, but: str | None) -> None:
        refuse_taken(connection, datasets, name, but=but, namespace=NAMESPACE)

    def admit(self, connection: Connection, new: NewUpload) -> None:
        if not (isinstance(new, NewDataset) and new.replace):
            self.refuse_taken(connection, new.name, None)

    def make(self, connection: Connection, item_id: str, item: dict[str, Any], sha256: str, size: int) -> Dataset:
        key = name_key(item["name"])
        old = connection.execute(select(datasets).where(datasets.c.name_key == key)).one_or_none()
        if old is None or not item.get("replace"):
            self.refuse_taken(connection, item["name"], None)
            return self.insert(connection, item_id, item, sha256, size)
        connection.execute(delete(datasets).where(datasets.c.id == old.id))
        item = {**item, "description": item["description"] or old.description}
        made = self.insert(connection, item_id, item, sha256, size, created_at=old.created_at)
        release(connection, old.sha256)
        return made


class Artifacts(Items[Artifact, ArtifactQuery]):
    """Each run may have one of the same name, and so may nobody's."""

    order = "-createdAt"

    def __init__(self, store: Store, open_store: Open) -> None:
        super().__init__(store, open_store, artifacts, Artifact)

    def more_sorts(self) -> dict[str, ColumnElement[Any]]:
        return {"runId": func.coalesce(artifacts.c.run_id, "")}

    def wanted(self, query: ArtifactQuery) -> Select[Any]:
        rows = select(artifacts)
        if query.name is not None:
            rows = rows.where(artifacts.c.name_key == name_key(query.name))
        return rows if query.run_id is None else rows.where(artifacts.c.run_id == query.run_id)

    def make(self, connection: Connection, item_id: str, item: dict[str, Any], sha256: str, size: int) -> Artifact:
        return self.insert(connection, item_id, item, sha256, size, run_id=item.get("run_id"))
