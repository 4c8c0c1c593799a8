"""`agent file`: the files of the selected project. Paths are relative to its folder and stay inside it."""

import base64
from typing import Literal

from pydantic import Field

from nexus.handlers.agent.roadmap import IN_DEMO
from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.texts import bytes_given
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import Conflict, GitFailed, NotFound, PathOutsideRoot
from nexus.schemas.file import MOST_BYTES, FileContent, FileDiff, FileToWrite, FileTree, FileWritten

WRITE_NOTES = "nexus agent file write --path notes.md --content 'First line'"
WITH_NOTES = (*IN_DEMO, WRITE_NOTES)
Path = Field(min_length=1, max_length=4096, description="A path below the project's folder.")


class BrowseArguments(ListArguments):
    path: str = Field(
        default=".", min_length=1, max_length=4096, description="A folder, relative to the project's folder."
    )
    show_hidden: bool = Field(default=False, description="List names that begin with a dot too.")


class BrowseFiles(CommandHandler[BrowseArguments, FileTree]):
    """List a folder of the selected project, folders first.

    Links are listed and not followed out of the project: `..`, absolute paths and links that leave it are refused.
    """

    path = ("agent", "file", "browse")
    arguments = BrowseArguments
    result = FileTree
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("project",)
    errors = (*READING, NotFound, PathOutsideRoot)
    examples = (
        Example(line="nexus agent file browse", shows="The project's folder", needs=WITH_NOTES),
        Example(
            line="nexus agent file browse --path . --show-hidden --query 'items[].path'",
            shows="The paths alone, hidden ones too",
            needs=WITH_NOTES,
        ),
    )

    async def execute(self, context: ExecutionContext[BrowseArguments]) -> FileTree:
        query = query_of(context.args, projectId=context.selected("project"))
        return await context.api.get("/api/files/tree", FileTree, query=query)


class ReadArguments(Arguments):
    path: str = Path


class ReadFile(CommandHandler[ReadArguments, FileContent]):
    """Read a file of the selected project, at most 8 MiB.

    Text comes as it is; bytes that are no UTF-8 come in base64, and `encoding` says which. `sha256` serves
    `agent file write --expected-sha256`.
    """

    path = ("agent", "file", "read")
    arguments = ReadArguments
    result = FileContent
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("project",)
    errors = (*READING, NotFound, PathOutsideRoot)
    examples = (Example(line="nexus agent file read --path notes.md", shows="A file's content", needs=WITH_NOTES),)

    async def execute(self, context: ExecutionContext[ReadArguments]) -> FileContent:
        query = query_of(context.args, projectId=context.selected("project"))
        return await context.api.get("/api/files/content", FileContent, query=query)


class WriteArguments(Arguments):
    path: str = Path
    content: str = Field(
        max_length=MOST_BYTES * 2,
        description="What the file is to hold; - reads it from standard input, byte for byte.",
        json_schema_extra={"stdin": True},
    )
    encoding: Literal["utf-8", "base64"] = Field(
        default="utf-8", description="How the content is written down; base64 carries bytes that are no text."
    )
    expected_sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-fA-F]{64}$",
        description="Write only if the file has this SHA-256 now, as a read before told; otherwise a conflict.",
    )


class WriteFile(CommandHandler[WriteArguments, FileWritten]):
    """Write a file of the selected project, whole or not at all; folders on the way are made.

    `change` says whether it was created, updated, or the same already.
    """

    path = ("agent", "file", "write")
    arguments = WriteArguments
    result = FileWritten
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    context = ("project",)
    errors = (*WRITING, NotFound, PathOutsideRoot, Conflict)
    examples = (
        Example(line=WRITE_NOTES, shows="A file with one line", needs=IN_DEMO),
        Example(
            line="nexus agent file write --path notes.md --content 'Another line'",
            shows="Other content in its place",
            needs=WITH_NOTES,
        ),
    )

    async def execute(self, context: ExecutionContext[WriteArguments]) -> Outcome[FileWritten]:
        given = context.args
        content, encoding = given.content, given.encoding
        if encoding == "utf-8":
            content, encoding = _written_down(await bytes_given(context, given.content, limit=MOST_BYTES))
        body = FileToWrite(
            project_id=context.selected("project"),
            path=given.path,
            content=content,
            encoding=encoding,
            expected_sha256=given.expected_sha256.lower() if given.expected_sha256 else None,
        )
        written = await context.api.post("/api/files/content", FileWritten, body=body)
        return Outcome(written, message=f"{written.path}: {written.change}.")


def _written_down(data: bytes) -> tuple[str, Literal["utf-8", "base64"]]:
    """Return bytes as text, or in base64 where they are no text."""
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), "base64"


class DiffArguments(Arguments):
    path: str = Path
    base: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="What it was: a git revision, or a path in the project. Without it, the last commit.",
    )
    compare: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="What it became: a git revision, or a path in the project. Without it, the file as it is now.",
    )


class DiffFile(CommandHandler[DiffArguments, FileDiff]):
    """Compare a file of the selected project with a git revision or with another file, as a unified diff."""

    path = ("agent", "file", "diff")
    arguments = DiffArguments
    result = FileDiff
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("project",)
    errors = (*READING, NotFound, PathOutsideRoot, GitFailed)
    examples = (
        Example(
            line="nexus agent file diff --path notes.md --base old.md",
            shows="What differs between two files",
            needs=(*WITH_NOTES, "nexus agent file write --path old.md --content 'An older line'"),
        ),
    )

    async def execute(self, context: ExecutionContext[DiffArguments]) -> FileDiff:
        query = query_of(context.args, projectId=context.selected("project"))
        return await context.api.get("/api/files/diff", FileDiff, query=query)
