"""Data sets and artifacts, the uploads that they come by, and the URLs that their bytes go by."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from nexus.schemas.model import MOST_WHOLE, Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery
from nexus.schemas.project import Name

DataKind = Literal["dataset", "artifact"]

MOST_BYTES = 5 * 1024**4
"""What one object of S3 holds, and so one of ours."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^/\x00-\x1f\x7f]+$")]
"""The last word of a path. `.` and `..` are refused by whoever makes a file of it."""
Description = Annotated[str, StringConstraints(max_length=10_000)]
RunId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class Stored(Model):
    """Bytes with a name. `sha256` and `size` are of the bytes, `filename` is what the pushed file was called."""

    id: str
    name: str
    description: str | None = None
    filename: str
    size: int
    sha256: str
    created_at: Timestamp
    updated_at: Timestamp


class Dataset(Stored):
    """A file that work begins with. No two data sets have the same name."""


class Artifact(Stored):
    """A file that work ended in; `run_id` is the run that made it."""

    run_id: str | None = None


class DatasetQuery(PageQuery):
    """`name` asks for the one data set with this exact name."""

    name: str | None = None


class ArtifactQuery(PageQuery):
    """`name` asks for artifacts of this exact name, `run_id` for those of one run."""

    name: str | None = None
    run_id: str | None = None


class StoredChanges(StrictModel):
    """What is left out stays as it is; a null takes the description away."""

    name: Name | None = None
    description: Description | None = None


class NewUpload(StrictModel):
    """A file that is to come. Under the same `resume_key` an upload that was cut is found again."""

    name: Name
    filename: FileName
    size: int = Field(ge=0, le=MOST_BYTES)
    description: Description | None = None
    resume_key: str | None = Field(default=None, max_length=200)


class NewDataset(NewUpload):
    """With `replace`, a data set of this name gets the new bytes; without, its name is taken."""

    replace: bool = False


class NewArtifact(NewUpload):
    run_id: RunId | None = None


class Part(Model):
    """A part that is missing, and the URL that it is PUT to; `size` bytes from `offset` on."""

    number: int
    offset: int
    size: int
    url: str


class Upload(Model):
    """An upload under way. `parts` are missing ones, from `after` on; `more` says that there are others behind them.

    A URL without a host is the kernel's own. `transferred` counts the bytes that have arrived.
    """

    id: str
    kind: DataKind
    name: str
    size: int
    part_size: int
    part_count: int
    transferred: int
    parts: list[Part]
    more: bool = False
    resumed: bool = False
    expires_at: Timestamp


class PartsQuery(StrictModel):
    """Missing parts behind the number `after`."""

    after: int = Field(default=0, ge=0, le=MOST_WHOLE)
    limit: int = Field(default=100, ge=1, le=1000)


class Completion(StrictModel):
    """The digest that the client made of its file; the upload is completed only if its bytes have the same."""

    sha256: Sha256


class Download(Model):
    """Where the bytes are to be had, by GET and in ranges; a URL without a host is the kernel's own."""

    url: str
    filename: str
    size: int
    sha256: str
    expires_at: Timestamp


class Verification(Model):
    """Bytes were read again, and are what was stored."""

    id: str
    name: str
    sha256: str
    size: int
    verified: Literal[True] = True
    path: str | None = Field(default=None, description="The file that was compared, where one was named.")
