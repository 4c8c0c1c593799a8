"""Bytes at a service that speaks S3: clients send them there and fetch them there, by URLs signed here."""

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import httpx

from nexus.kernel.data.sigv4 import Presigner
from nexus.kernel.data.store import Draft, Survey
from nexus.schemas.errors import (
    BackendError,
    BackendUnavailable,
    ChecksumMismatch,
    StorageCorrupt,
    UploadExpired,
    UploadIncomplete,
)

PREFIX = "s3:"
"""What every place and every upload of this store begins with, so that none is taken for the local store's."""

PART_BYTES = 16 * 1024 * 1024
MOST_PARTS = 10_000
MEGABYTE = 1024 * 1024
OWN_URL_SECONDS = 900
SECONDS = 60.0
MISSING_TOLD = 20
MOST_PAGES = 20
"""A page of ListParts has a thousand."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A part as the service has it."""

    number: int
    size: int
    etag: str


class S3Blobs:
    """A `BlobStore` in one bucket. Keys are `prefix` and the upload's id: none is used twice.

    The digest that a client claims is never believed: an object is read once before it becomes a content, else whoever
    knows a digest could have the bytes of others, or put other bytes in their place.
    """

    def __init__(
        self,
        signer: Presigner,
        bucket: str,
        prefix: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._signer = signer
        self._bucket = bucket
        self._prefix = prefix
        self._now = now
        self._http = httpx.AsyncClient(timeout=SECONDS, headers={"accept-encoding": "identity"})

    def part_size(self, size: int) -> int:
        """16 MiB, and more only where that would be over 10,000 parts."""
        wanted = -(-size // MOST_PARTS)
        return max(PART_BYTES, -(-wanted // MEGABYTE) * MEGABYTE)

    async def begin(self, upload_id: str, size: int) -> str:  # noqa: ARG002 -- a service has room
        answer = await self._ask("POST", self._key(upload_id), {"uploads": ""})
        found = _texts(answer, "UploadId")
        if not found:
            raise BackendError.because("The object store began no upload.")
        return f"{PREFIX}{found[0]}"

    async def arrived(self, draft: Draft) -> frozenset[int]:
        return frozenset(part.number for part in await self._parts(draft))

    def part_url(self, draft: Draft, number: int, expires: int) -> str:
        query = {"partNumber": str(number), "uploadId": _word(draft)}
        return self._url("PUT", self._key(draft.upload_id), self._left(expires), query)

    async def put(self, draft: Draft, number: int, content: bytes) -> None:
        if len(content) != draft.parts.span(number).size:
            raise ValueError("the content is not of the part's size")
        query = {"partNumber": str(number), "uploadId": _word(draft)}
        await self._ask("PUT", self._key(draft.upload_id), query, content)

    async def finish(self, draft: Draft, sha256: str) -> str:
        key = self._key(draft.upload_id)
        place = f"{PREFIX}{key}"
        try:
            parts = {part.number: part for part in await self._parts(draft)}
        except UploadExpired:
            # It was put together before, perhaps, and this was never told to the database.
            if await self._size(key) != draft.size:
                raise
        else:
            missing = [number for number in range(1, draft.parts.count + 1) if number not in parts]
            if missing:
                raise UploadIncomplete(upload_id=draft.upload_id, count=len(missing), missing=missing[:MISSING_TOLD])
            await self._put_together(draft, [parts[number] for number in sorted(parts)])
        digest = hashlib.sha256()
        async for chunk in self.read(place):
            digest.update(chunk)
        if digest.hexdigest() != sha256:
            await self.remove(place)
            raise ChecksumMismatch(what="What arrived", actual=digest.hexdigest(), expected=sha256)
        return place

    async def drop(self, draft: Draft) -> None:
        key = self._key(draft.upload_id)
        await self._ask("DELETE", key, {"uploadId": _word(draft)}, missing_is_fine=True)
        await self._ask("DELETE", key, {}, missing_is_fine=True)

    def url(self, place: str, filename: str, expires: int) -> str:  # noqa: ARG002 -- the client names its file itself
        return self._url("GET", _key_of(place), self._left(expires), {})

    async def read(self, place: str) -> AsyncIterator[bytes]:
        url = self._url("GET", _key_of(place), OWN_URL_SECONDS, {})
        async with _told(), self._http.stream("GET", url) as answer:
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise StorageCorrupt(path=place, reason="the object is not there")
            if answer.status_code != httpx.codes.OK:
                raise _refusal(answer.status_code, await answer.aread())
            async for chunk in answer.aiter_bytes(MEGABYTE):
                yield chunk

    async def remove(self, place: str) -> None:
        await self._ask("DELETE", _key_of(place), {}, missing_is_fine=True)

    async def survey(self) -> Survey:
        """Return nothing: a bucket may hold what others keep there."""
        return Survey()

    async def forget(self, upload_id: str) -> None:
        """Do nothing: `survey` finds none."""

    def belongs(self, place: str, upload_id: str) -> bool:
        return place == f"{PREFIX}{self._key(upload_id)}"

    async def close(self) -> None:
        await self._http.aclose()

    def _key(self, upload_id: str) -> str:
        return f"{self._prefix}{upload_id}"

    def _url(self, method: str, key: str, seconds: int, query: Mapping[str, str]) -> str:
        return self._signer.url(method, f"/{self._bucket}/{key}", seconds, self._now(), query)

    def _left(self, expires: int) -> int:
        return expires - int(self._now().timestamp())

    async def _parts(self, draft: Draft) -> list[Arrived]:
        """Return the parts that are whole. Raises `UploadExpired` when the service knows of no such upload."""
        found: list[Arrived] = []
        marker = "0"
        for _ in range(MOST_PAGES):
            query = {"uploadId": _word(draft), "part-number-marker": marker}
            answer = await self._ask("GET", self._key(draft.upload_id), query, missing_is_fine=True)
            if _code(answer) in ("NoSuchUpload", "NoSuchKey"):
                raise UploadExpired(upload_id=draft.upload_id)
            columns = (_texts(answer, name, below="Part") for name in ("PartNumber", "Size", "ETag"))
            rows = zip(*columns, strict=True)
            found += [Arrived(int(number), int(size), etag) for number, size, etag in rows]
            if _texts(answer, "IsTruncated") != ["true"]:
                break
            marker = (_texts(answer, "NextPartNumberMarker") or ["0"])[0]
        parts = draft.parts
        return [each for each in found if each.number <= parts.count and each.size == parts.span(each.number).size]

    async def _put_together(self, draft: Draft, parts: list[Arrived]) -> None:
        listed = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>{_escaped(part.etag)}</ETag></Part>" for part in parts
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        answer = await self._ask("POST", self._key(draft.upload_id), {"uploadId": _word(draft)}, body)
        # It may be 200 and a failure all the same: the answer begins before the work does.
        if _code(answer):
            raise BackendUnavailable.because(f"The object store could not put the parts together: {_code(answer)}.")

    async def _size(self, key: str) -> int | None:
        async with _told():
            answer = await self._http.head(self._url("HEAD", key, OWN_URL_SECONDS, {}))
        return int(answer.headers["content-length"]) if answer.status_code == httpx.codes.OK else None

    async def _ask(
        self, method: str, key: str, query: Mapping[str, str], body: bytes = b"", *, missing_is_fine: bool = False
    ) -> bytes:
        async with _told():
            url = self._url(method, key, OWN_URL_SECONDS, query)
            answer = await self._http.request(method, url, content=body)
        if answer.is_success or (missing_is_fine and answer.status_code == httpx.codes.NOT_FOUND):
            return answer.content
        raise _refusal(answer.status_code, answer.content)


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise BackendUnavailable.because(
            f"The object store cannot be reached: {error or type(error).__name__}.", hint="Run the command again."
        ) from error


def _refusal(status: int, body: bytes) -> BackendError:
    code = _code(body) or f"status {status}"
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or code in ("SlowDown", "RequestTimeout"):
        return BackendUnavailable.because(f"The object store cannot answer now: {code}.", hint="Run the command again.")
    return BackendError.because(f"The object store refused: {code}.", reason_code=code)


def _code(body: bytes) -> str | None:
    """Return the code of an error document, None of any other."""
    match = re.search(rb"<Error>.*?<Code>(\w+)</Code>", body[:10_000], re.DOTALL)
    return match[1].decode() if match else None


def _texts(body: bytes, name: str, below: str | None = None) -> list[str]:
    root = _parsed(body)
    above = root.iter() if below is None else (each for each in root.iter() if _plain(each.tag) == below)
    if below is None:
        return [each.text or "" for each in above if _plain(each.tag) == name]
    return [child.text or "" for each in above for child in each if _plain(child.tag) == name]


def _parsed(body: bytes) -> ET.Element:
    unreadable = BackendError.because("The object store's answer cannot be read.")
    if b"<!DOCTYPE" in body:
        raise unreadable
    try:
        return ET.fromstring(body)  # noqa: S314 -- no document type, and so no entities that grow
    except ET.ParseError as error:
        raise unreadable from error


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _word(draft: Draft) -> str:
    return draft.token.removeprefix(PREFIX)


def _key_of(place: str) -> str:
    return place.removeprefix(PREFIX)
