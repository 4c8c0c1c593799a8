"""The store of the bytes, as the parts of one kernel share it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.kernel.keys import Keys
from nexus.kernel.settings import ObjectStore

if TYPE_CHECKING:
    from nexus.kernel.data.stores import BlobStores

FOLDER_NAME = "blobs"


class KeptBytes:
    """Opens the store when bytes are first asked for. `objects` is where new ones are kept that are not kept here."""

    def __init__(self, data_folder: Path, keys: Keys, objects: ObjectStore | None) -> None:
        self.folder = data_folder / FOLDER_NAME
        self.opened: BlobStores | None = None
        self._keys = keys
        self._objects = objects
        self._opening = asyncio.Lock()

    async def open(self) -> "BlobStores":
        """Return the store. Raises storage errors, `ConfigInvalid`."""
        async with self._opening:
            if self.opened is None:
                from nexus.kernel.data.stores import opened

                key = self._keys.key("signed URLs of bytes")
                self.opened = await asyncio.to_thread(opened, self.folder, key, self._objects)
            return self.opened

    async def close(self) -> None:
        """Take no more parts."""
        if self.opened is not None:
            await self.opened.close()
