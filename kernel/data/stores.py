"""Where bytes are kept: new ones where the configuration says, old ones where they have always been."""

import configparser
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nexus.kernel.data.local import LocalBlobs
from nexus.kernel.data.store import BlobStore, Draft, Survey
from nexus.kernel.settings import ObjectStore
from nexus.schemas.errors import ConfigInvalid

if TYPE_CHECKING:
    from nexus.kernel.data.sigv4 import Credentials

S3_PREFIX = "s3:"


class BlobStores:
    """The local store and, where there is one, a service's: places and uploads say which of them they belong to."""

    def __init__(self, local: LocalBlobs, remote: BlobStore | None) -> None:
        self.local = local
        self._remote = remote
        self._new: BlobStore = remote or local

    def part_size(self, size: int) -> int:
        return self._new.part_size(size)

    async def begin(self, upload_id: str, size: int) -> str:
        return await self._new.begin(upload_id, size)

    async def arrived(self, draft: Draft) -> frozenset[int]:
        return await self._of(draft.token).arrived(draft)

    def part_url(self, draft: Draft, number: int, expires: int) -> str:
        return self._of(draft.token).part_url(draft, number, expires)

    async def put(self, draft: Draft, number: int, content: bytes) -> None:
        await self._of(draft.token).put(draft, number, content)

    async def finish(self, draft: Draft, sha256: str) -> str:
        return await self._of(draft.token).finish(draft, sha256)

    async def drop(self, draft: Draft) -> None:
        await self._of(draft.token).drop(draft)

    def url(self, place: str, filename: str, expires: int) -> str:
        return self._of(place).url(place, filename, expires)

    def read(self, place: str) -> AsyncIterator[bytes]:
        return self._of(place).read(place)

    async def remove(self, place: str) -> None:
        await self._of(place).remove(place)

    async def survey(self) -> Survey:
        return await self.local.survey()

    async def forget(self, upload_id: str) -> None:
        await self.local.forget(upload_id)

    def belongs(self, place: str, upload_id: str) -> bool:
        return self._of(place).belongs(place, upload_id)

    async def close(self) -> None:
        for store in (self.local, self._remote):
            if store is not None:
                await store.close()

    def _of(self, word: str) -> BlobStore:
        if not word.startswith(S3_PREFIX):
            return self.local
        if self._remote is None:
            raise ConfigInvalid.because(
                "These bytes are at an object store, and the configuration names none.",
                field="data.s3_endpoint",
                hint="nexus settings config view",
            )
        return self._remote


def opened(folder: Path, key: bytes, objects: ObjectStore | None) -> BlobStores:
    """Open the stores. Blocks. Raises storage errors, `ConfigInvalid`."""
    return BlobStores(LocalBlobs(folder, key), None if objects is None else _service(objects))


def _service(settings: ObjectStore) -> BlobStore:
    from nexus.kernel.data.s3 import S3Blobs  # httpx and an XML parser, for those who have a service
    from nexus.kernel.data.sigv4 import Presigner

    parts = urlsplit(settings.endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise ConfigInvalid.because(
            f"{settings.endpoint!r} is no URL of an object store.", field="data.s3_endpoint", expected="https://HOST"
        )
    signer = Presigner(f"{parts.scheme}://{parts.netloc}", settings.region, _credentials(settings))
    return S3Blobs(signer, settings.bucket, settings.prefix)


def _credentials(settings: ObjectStore) -> "Credentials":
    from nexus.kernel.data.sigv4 import Credentials

    path = settings.credentials
    parser = configparser.ConfigParser(interpolation=None)
    try:
        if os.stat(path).st_mode & 0o077:
            raise ConfigInvalid.because(
                f"{path} holds a secret and can be read by others.", path=str(path), hint=f"chmod 600 {path}"
            )
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
        section = parser[settings.profile]
        return Credentials(
            section["aws_access_key_id"], section["aws_secret_access_key"], section.get("aws_session_token")
        )
    except (OSError, configparser.Error, UnicodeDecodeError, KeyError) as error:
        raise ConfigInvalid.because(
            f"The object store's credentials cannot be read: {path} has no {settings.profile!r} that can be used.",
            path=str(path),
            hint="nexus settings config view",
        ) from error
