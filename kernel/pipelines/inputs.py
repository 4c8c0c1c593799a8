"""The data sets of a run: their bytes as files that its steps read, laid out once and checked as they are written."""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, select

from nexus.kernel.data.kept import KeptBytes
from nexus.kernel.store.failures import told_as_storage
from nexus.kernel.store.schema import blobs
from nexus.kernel.store.store import Store
from nexus.schemas.errors import ChecksumMismatch, NotFound
from nexus.schemas.run import RunDataset

READ_ONLY = 0o400


class Inputs:
    """Lays data sets out. A file is there under its name when it is whole and its SHA-256 is right, and not before."""

    def __init__(self, store: Store, kept: KeptBytes) -> None:
        self._store = store
        self._kept = kept

    async def lay_out(self, datasets: Mapping[str, RunDataset], folder: Path) -> dict[str, Path]:
        """Return where the file of each data set is: `folder/NAME/FILENAME`. What is there already stays.

        Raises `NotFound` for bytes that were deleted since, `ChecksumMismatch` for damaged ones, storage errors,
        `BackendUnavailable`.
        """
        return {name: await self._laid_out(dataset, folder / name) for name, dataset in datasets.items()}

    async def _laid_out(self, dataset: RunDataset, folder: Path) -> Path:
        # A name that is no file's becomes one that is.
        path = folder / (dataset.filename if dataset.filename not in (".", "..") else dataset.id)
        if path.exists():
            return path
        place = await self._store.read(lambda connection: _place(connection, dataset))
        partial = folder / f".{dataset.sha256}.part"
        with told_as_storage(folder):
            await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                partial.unlink()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(partial, flags, READ_ONLY), "wb") as file:
                await self._write(file, place, dataset)
            partial.rename(path)
        return path

    async def _write(self, file: BinaryIO, place: str, dataset: RunDataset) -> None:
        digest = hashlib.sha256()
        async for chunk in (await self._kept.open()).read(place):
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
        if digest.hexdigest() != dataset.sha256:
            raise ChecksumMismatch(
                what=f"What is stored of {dataset.name!r}",
                actual=digest.hexdigest(),
                expected=dataset.sha256,
                hint="Push it again under another name, then delete this one.",
            )


def _place(connection: Connection, dataset: RunDataset) -> str:
    place = connection.execute(select(blobs.c.place).where(blobs.c.sha256 == dataset.sha256)).scalar_one_or_none()
    if place is None:
        raise NotFound(resource="data set", reference=dataset.name, hint="nexus data dataset list")
    return str(place)
