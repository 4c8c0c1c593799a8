"""What stands behind the operations of data sets and artifacts, and what is tidied up behind them."""

from typing import Any

from sqlalchemy import Connection, select
from starlette.types import Receive, Scope, Send

from nexus.kernel.api.late import Behind
from nexus.kernel.data.contents import remove_released
from nexus.kernel.data.items import Artifacts, Datasets, Items
from nexus.kernel.data.kept import KeptBytes
from nexus.kernel.data.local import LocalBlobs
from nexus.kernel.data.routes import ByteRoute
from nexus.kernel.data.store import Draft
from nexus.kernel.data.uploads import Uploads, draft_of, forget, upload_row
from nexus.kernel.store.rows import now
from nexus.kernel.store.schema import blobs, uploads
from nexus.kernel.store.store import Store
from nexus.schemas.data import (
    Artifact,
    ArtifactQuery,
    Completion,
    DataKind,
    Dataset,
    DatasetQuery,
    Download,
    NewArtifact,
    NewDataset,
    PartsQuery,
    StoredChanges,
    Upload,
    Verification,
)
from nexus.schemas.errors import NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page


class DataOperations:
    """Both kinds over one store of bytes, which is opened when bytes are first asked for."""

    def __init__(self, store: Store, kept: KeptBytes) -> None:
        self.store = store
        self.open = kept.open
        self._kept = kept
        self._byte_route = ByteRoute(self._local, self._draft)
        self._behind = {
            **self._of_kind("dataset", Datasets(store, self.open), DatasetQuery, NewDataset, Page[Dataset]),
            **self._of_kind("artifact", Artifacts(store, self.open), ArtifactQuery, NewArtifact, Page[Artifact]),
        }

    def of(self, operation_id: str) -> Behind:
        """Return what stands behind an operation."""
        return self._behind[operation_id]

    async def route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for bytes."""
        await self.open()
        await self._byte_route(scope, receive, send)

    async def tidy(self) -> None:
        """Give uploads up whose time is over, and remove what nobody knows of."""
        await remove_released(self.store, self.open)
        kept_in = await self.open()
        for row in await self.store.read(_overdue):
            await kept_in.drop(draft_of(row))
            await self.store.write(lambda connection, gone=row.id: forget(connection, gone))  # type: ignore[misc]
        # What is there is looked at first: what comes meanwhile is known to the database by then, or not seen.
        survey = await kept_in.survey()
        places, under_way = await self.store.read(_known)
        for place in survey.places - places:
            if not any(kept_in.belongs(place, upload) for upload in under_way):
                await kept_in.remove(place)
        for upload in survey.uploads - under_way:
            await kept_in.forget(upload)

    def _local(self) -> LocalBlobs:
        if self._kept.opened is None:
            raise NotFound(resource="route", reference="/blobs")
        return self._kept.opened.local

    async def _draft(self, upload_id: str) -> Draft:
        return draft_of(await self.store.read(lambda connection: upload_row(connection, upload_id)))

    def _of_kind(
        self, kind: DataKind, items: Items[Any, Any], query: type[Any], new: type[Any], page: type[Any]
    ) -> dict[str, Behind]:
        sent = Uploads(kind, self.store, self.open, items)
        item = items.model
        command = f"data.{kind}"
        fetch = f"{command}.{'pull' if kind == 'dataset' else 'download'}"
        return {
            f"{command}.list": Behind(items.list, page, query=query),
            f"{command}.push": Behind(sent.begin, Upload, body=new),
            f"{command}.push.parts": Behind(sent.view, Upload, query=PartsQuery),
            f"{command}.push.abort": Behind(sent.abort, Deleted),
            f"{command}.push.complete": Behind(sent.complete, item, body=Completion),
            f"{command}.view": Behind(items.view, item),
            f"{command}.update": Behind(items.change, item, body=StoredChanges),
            f"{command}.delete": Behind(items.delete, Deleted),
            fetch: Behind(items.download, Download),
            f"{command}.verify": Behind(items.verify, Verification),
        }


def _overdue(connection: Connection) -> list[Any]:
    return list(connection.execute(select(uploads).where(uploads.c.expires_at < now()).limit(1000)))


def _known(connection: Connection) -> tuple[frozenset[str], frozenset[str]]:
    places = frozenset(connection.execute(select(blobs.c.place)).scalars())
    return places, frozenset(connection.execute(select(uploads.c.id)).scalars())
