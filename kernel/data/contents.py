"""Which bytes belong to whom: blobs that are shared, kept while anybody has them, and removed behind the last."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select

from nexus.kernel.data.store import BlobStore
from nexus.kernel.store.rows import now
from nexus.kernel.store.schema import artifacts, blob_removals, blobs, datasets
from nexus.kernel.store.store import Store
from nexus.schemas.errors import NexusError

OWNERS = (datasets, artifacts)

log = logging.getLogger("nexus.kernel.data")


def keep(connection: Connection, sha256: str, size: int, place: str) -> None:
    """Keep the bytes at a place; if the same content is there already, the place goes instead."""
    known = connection.execute(select(blobs.c.place).where(blobs.c.sha256 == sha256)).scalar_one_or_none()
    if known is None:
        values = {"sha256": sha256, "size": size, "place": place, "created_at": now()}
        connection.execute(insert(blobs).values(values))
    elif known != place:
        _give_back(connection, place)


def release(connection: Connection, sha256: str) -> bool:
    """Let go of bytes that one of their owners has left; return whether that was the last, so that they go."""
    if any(connection.execute(select(exists().where(owner.c.sha256 == sha256))).scalar_one() for owner in OWNERS):
        return False
    place = connection.execute(select(blobs.c.place).where(blobs.c.sha256 == sha256)).scalar_one_or_none()
    if place is None:
        return False
    connection.execute(delete(blobs).where(blobs.c.sha256 == sha256))
    _give_back(connection, place)
    return True


def place_of(connection: Connection, sha256: str) -> str:
    """Return where the bytes are; they are somebody's, and so they are kept."""
    return str(connection.execute(select(blobs.c.place).where(blobs.c.sha256 == sha256)).scalar_one())


async def remove_released(store: Store, bytes_at: Callable[[], Awaitable[BlobStore]]) -> None:
    """Remove the bytes that nobody has any more. What cannot be removed now is removed another time.

    `bytes_at` opens the store of the bytes, and is not called when there is nothing to remove.
    """
    places = await store.read(_given_back)
    if not places:
        return
    kept_in = await bytes_at()
    for place in places:
        try:
            await kept_in.remove(place)
        except NexusError:
            log.exception("the bytes at %s are not removed", place)
            continue
        await store.write(lambda connection, gone=place: _forget(connection, gone))  # type: ignore[misc]


def _given_back(connection: Connection) -> list[str]:
    return list(connection.execute(select(blob_removals.c.place).limit(1000)).scalars())


def _give_back(connection: Connection, place: str) -> None:
    connection.execute(insert(blob_removals).values(place=place, created_at=now()))


def _forget(connection: Connection, place: str) -> Any:
    return connection.execute(delete(blob_removals).where(blob_removals.c.place == place)).rowcount
