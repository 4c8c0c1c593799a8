"""The files of the selected project. Paths are relative to its folder and stay inside it."""

import asyncio
import base64
import hashlib
import shlex
from pathlib import Path
from typing import Literal

from pydantic import Field

from nexus.handlers.agent import editor
from nexus.handlers.agent.roadmap import IN_DEMO
from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.texts import bytes_given
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import Conflict, GitFailed, NotFound, PathOutsideRoot, ProgramFailed, ValidationError
from nexus.schemas.file import MOST_BYTES, FileContent, FileDiff, FileToWrite, FileTree, FileWritten
from nexus.schemas.model import Model
from nexus.schemas.project import Project
from nexus.schemas.regular import open_regular

WRITE_NOTES = "nexus agent file write --path notes.md --content 'First line'"
WITH_NOTES = (*IN_DEMO, WRITE_NOTES)
PATH = Field(min_length=1, max_length=4096, description="A path below the project's folder.")


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
    path: str = PATH


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
    path: str = PATH
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
    path: str = PATH
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
    """Compare a file of the selected project with a git revision or with another file, as a unified diff.

    A folder in a git repository is compared with revisions. Without a repository `--base` names another file.
    """

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


class OpenArguments(ReadArguments):
    editor: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="The editor and its flags, as one word; else VISUAL, else EDITOR, else the desktop's opener.",
    )


class FileOpened(Model):
    """The file, and what was started on it. `exit_code` is null while the editor runs on; it is not waited for."""

    path: str
    absolute_path: str
    editor: list[str]
    pid: int
    exit_code: int | None


class OpenFile(CommandHandler[OpenArguments, FileOpened]):
    """Open a file of the selected project in your editor, which has a window of its own.

    The editor is started with your environment, working directory and limits, in a session of its own and without a
    terminal, and is not waited for; no shell reads its words. An editor that draws in a terminal (vim, nano and the
    like) is refused, for this command has no terminal to lend: the error's hint is the line that starts it. The file
    must be on this machine, exist, and have at most 8 MiB.
    """

    path = ("agent", "file", "open")
    arguments = OpenArguments
    result = FileOpened
    effects = frozenset({Effect.WRITE})
    change = "unchanged"  # what the editor does is its own
    context = ("project",)
    errors = (*READING, NotFound, PathOutsideRoot, ProgramFailed)
    examples = (
        Example(
            line="nexus agent file open --path notes.md --editor true",
            shows="Start a program on a file (this one does nothing and ends)",
            needs=WITH_NOTES,
        ),
    )

    async def execute(self, context: ExecutionContext[OpenArguments]) -> Outcome[FileOpened]:
        given = context.args
        words = editor.editor_of(context, given.editor)
        file, path = await _on_this_machine(context, given.path)
        started = await editor.start(context, words, file)
        opened = FileOpened(
            path=path,
            absolute_path=str(file),
            editor=started.editor,
            pid=started.pid,
            exit_code=started.exit_code,
        )
        return Outcome(opened, message=f"Opened {path} with {words[0]}.")


async def _on_this_machine(context: ExecutionContext[OpenArguments], path: str) -> tuple[Path, str]:
    """Return the file's absolute path and its path in the project, once the kernel and this machine see the same.

    The kernel has held the path inside the project. Raises `ValidationError` where the kernel's files are elsewhere.
    """
    project_id = context.selected("project")
    query = {"projectId": project_id, "path": path}
    content = await context.api.get("/api/files/content", FileContent, query=query)
    project = await context.api.get("/api/projects/{id}", Project, at={"id": project_id})
    file = Path(project.content_path) / content.path
    if await asyncio.to_thread(_sha256, file) != content.sha256:
        raise ValidationError.because(
            f"The file is not on this machine as {file}: the kernel that holds it runs elsewhere.",
            field="path",
            hint=f"nexus agent file read --path {shlex.quote(path)}",
        )
    return file, content.path


def _sha256(file: Path) -> str | None:
    """Return the hash of the file's first bytes, as many as are ever read; None where there is none."""
    try:
        with open_regular(file) as opened:
            return hashlib.sha256(opened.read(MOST_BYTES + 1)).hexdigest()
    except OSError:
        return None
