"""What keeps bytes: a folder of this machine, or a service that speaks S3."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from nexus.kernel.data.ranges import Parts

URL_SECONDS = 3600
"""How long a URL is good that a client is given."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An upload as the store knows it: `token` is the store's own word for it."""

    upload_id: str
    size: int
    part_size: int
    token: str

    @property
    def parts(self) -> Parts:
        return Parts(self.size, self.part_size)


@dataclass(frozen=True, slots=True)
class Survey:
    """The places and the uploads of which there is something in the store."""

    places: frozenset[str] = frozenset()
    uploads: frozenset[str] = frozenset()


class BlobStore(Protocol):
    """Bytes by places. No place is ever used twice; what is at one never changes.

    Raises the errors of storage, and `BackendUnavailable` when a service cannot be reached.
    """

    def part_size(self, size: int) -> int:
        """Return how large the parts are that so many bytes are best sent in."""
        ...

    async def begin(self, upload_id: str, size: int) -> str:
        """Make room for an upload and return the store's word for it."""
        ...

    async def arrived(self, draft: Draft) -> frozenset[int]:
        """Return the numbers of the parts that are whole."""
        ...

    def part_url(self, draft: Draft, number: int, expires: int) -> str:
        """Return the URL that a part is PUT to, good until the second `expires`."""
        ...

    async def put(self, draft: Draft, number: int, content: bytes) -> None:
        """Take a part from who has it here, and not by a URL. Raises `ValueError` when it is not the part's size."""
        ...

    async def finish(self, draft: Draft, sha256: str) -> str:
        """Make the parts one whole and return its place; asked again, do no more and return the same.

        Raises `UploadIncomplete`, `UploadExpired`, and `ChecksumMismatch` when the bytes are others; those are dropped.
        """
        ...

    async def drop(self, draft: Draft) -> None:
        """Give an upload up, whatever there is of it."""
        ...

    def url(self, place: str, filename: str, expires: int) -> str:
        """Return the URL that bytes are had from by GET, good until the second `expires`."""
        ...

    def read(self, place: str) -> AsyncIterator[bytes]:
        """Yield the bytes, a megabyte or so at a time. Raises `StorageCorrupt` when they are not there."""
        ...

    async def remove(self, place: str) -> None:
        """Remove bytes; those that are gone already are no error."""
        ...

    async def survey(self) -> "Survey":
        """Return what is there, so that what nobody knows of can be removed: nothing where others keep bytes too."""
        ...

    async def forget(self, upload_id: str) -> None:
        """Remove what there is of an upload that nobody knows of."""
        ...

    def belongs(self, place: str, upload_id: str) -> bool:
        """Say whether this is the place that the upload gets, or got, when it is finished."""
        ...

    async def close(self) -> None: ...
