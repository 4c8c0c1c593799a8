"""Files of a project. Every path is relative to the project's content path and stays inside it."""

from typing import Annotated, Literal

from pydantic import Field

from nexus.schemas.model import Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery

MOST_BYTES = 8 * 1024 * 1024
"""The largest file that is read or written as one answer."""


Path = Annotated[str, Field(min_length=1, max_length=4096)]


class FileTreeQuery(PageQuery):
    """A folder's entries; by default folders first, each by name, without those whose name begins with a dot."""

    project_id: str
    path: Path = "."
    show_hidden: bool = False


class FileQuery(StrictModel):
    """One file of a project."""

    project_id: str
    path: Path


class FileDiffQuery(FileQuery):
    """`base` is the last commit unless it says otherwise, `compare` the file as it is."""

    base: Path | None = None
    compare: Path | None = None


class FileEntry(Model):
    """`size` is in bytes; a link's target is told only when it stays inside the project."""

    name: str
    path: str
    kind: Literal["file", "directory", "link", "other"]
    size: int | None = None
    modified_at: Timestamp | None = None


class FileTree(Model):
    """The entries of one folder, folders first; `truncated` says that there are more."""

    path: str
    items: list[FileEntry]
    next_cursor: str | None = None
    truncated: bool = False


class FileContent(Model):
    """`content` is text, or base64 where the bytes are no UTF-8 (`encoding` says which)."""

    path: str
    size: int
    sha256: str
    modified_at: Timestamp
    encoding: Literal["utf-8", "base64"] = "utf-8"
    content: str


class FileToWrite(StrictModel):
    """`expected_sha256` makes the write a conflict when the file is another by now."""

    project_id: str
    path: Path
    content: str = Field(max_length=MOST_BYTES * 2)
    encoding: Literal["utf-8", "base64"] = "utf-8"
    expected_sha256: str | None = None


class FileWritten(Model):
    path: str
    size: int
    sha256: str
    change: Literal["created", "updated", "unchanged"]


class FileDiff(Model):
    """A unified diff. `base` and `compare` say what was compared: a git revision, a path, or the working file."""

    path: str
    base: str
    compare: str
    changed: bool
    diff: str
    truncated: bool = False
