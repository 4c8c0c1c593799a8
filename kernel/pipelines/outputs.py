"""The artifacts of a step: files in the folder that it worked in, stored when it has succeeded."""

import asyncio
import errno
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from nexus.kernel.data.kept import KeptBytes
from nexus.kernel.data.staging import Staged, Staging
from nexus.kernel.files.beneath import SEARCH, best
from nexus.kernel.store.store import Store
from nexus.schemas.data import NewArtifact
from nexus.schemas.errors import NotFound, PermissionDenied, ValidationError
from nexus.schemas.regular import FLAGS

LEAVES = (errno.EXDEV, errno.ELOOP)


class Outputs:
    """Stages a step's files, and makes artifacts of them in the transaction that says that it succeeded."""

    def __init__(self, store: Store, kept: KeptBytes) -> None:
        self._staging = Staging(store, kept)

    async def stage(self, work: Path, wanted: Mapping[str, str], run_id: str) -> list[Staged]:
        """Store the files; `wanted` maps the artifacts' names to their paths below the folder.

        Raises `NotFound` for a file that is not there, `ValidationError` for what is no file, `PermissionDenied` for a
        path that leaves the folder, `Conflict` where there is no room, storage errors; then nothing is kept.
        """
        staged: list[Staged] = []
        try:
            for name, path in wanted.items():
                with await asyncio.to_thread(opened_below, work, path, name) as file:
                    size = os.fstat(file.fileno()).st_size
                    filename = path.rstrip("/").rpartition("/")[2]
                    new = NewArtifact(name=name, filename=filename, size=size, run_id=run_id)
                    staged.append(await self._staging.stage(file, size, new))
        except BaseException:
            await self.drop(staged)
            raise
        return staged

    def keep(self, connection: Connection, staged: Sequence[Staged]) -> list[str]:
        """Make artifacts of what was staged and return their ids; to be called in a transaction."""
        return self._staging.keep(connection, staged)

    async def drop(self, staged: Sequence[Staged]) -> None:
        """Give up what was staged."""
        await self._staging.drop(staged)

    async def settle(self) -> None:
        """Remove bytes that were there already; to be called when the transaction of `keep` is done."""
        await self._staging.settle()


def opened_below(folder: Path, path: str, name: str) -> BinaryIO:
    """Open a regular file that lies in a folder, whatever links there are. Blocks. Raises as `Outputs.stage`."""
    root = os.open(folder, SEARCH)
    try:
        descriptor = best()(root, path, FLAGS)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise NotFound(resource=f"artifact {name!r}: file", reference=path, field=f"artifacts.{name}") from error
        if error.errno in LEAVES:
            raise PermissionDenied.because(
                f"The artifact {name!r}, {path!r}, leaves the step's folder.", field=f"artifacts.{name}"
            ) from error
        raise ValidationError.because(
            f"The artifact {name!r}, {path!r}, cannot be read: {error.strerror}.", field=f"artifacts.{name}"
        ) from error
    finally:
        os.close(root)
    # A pipe would hold us, and a device have no end.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValidationError.because(f"The artifact {name!r}, {path!r}, is no file.", field=f"artifacts.{name}")
    return os.fdopen(descriptor, "rb")
