"""`skill`: what an agent should know of nexus, as a skill file or a section of AGENTS.md; a namespace at a time."""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Literal

from pydantic import Field

from nexus.handlers.builtins.help import help_of
from nexus.schemas.command import (
    Arguments,
    CommandCatalog,
    CommandHandler,
    CommandSpec,
    Effect,
    Example,
    ExecutionContext,
    GroupSpec,
)
from nexus.schemas.errors import CommandNotFound, NotFound, StorageReadOnly, ValidationError
from nexus.schemas.model import Model
from nexus.schemas.regular import open_regular
from nexus.schemas.stream import OutputStream, TextStream

BEGIN = "<!-- nexus: written by nexus skill -->"
END = "<!-- end of nexus -->"
_MOST_BYTES = 4 * 1024 * 1024

_HOW = """\
`nexus NAMESPACE RESOURCE ACTION [--flags]` prints one JSON envelope: `status` ok or error, `data`, and `errors` with a
`code` and a `hint`, a command to run next. Streams print NDJSON, ended by a `close` event; exit code 0 is success.

- Find a command: `nexus help`, `nexus help NAMESPACE`, `nexus help NAMESPACE RESOURCE ACTION`.
- All that is known of one: `nexus schema NAMESPACE RESOURCE ACTION`.
- Say where you work in each call: `--project NAME`, `--roadmap NAME`, `--chat NAME`; or `--context NAME` of your own.
- Keep answers short: `--fields a,b`, `--query JMESPATH`, `--limit N`, `--max-tokens N`; `nextCursor` goes on.
- Try first with `--dry-run`; what cannot be undone wants `--yes`.
- Many at once: `nexus batch`, one `{"command": "..."}` a line.
"""


class SkillArguments(Arguments):
    namespace: str | None = Field(
        default=None,
        max_length=100,
        description="Open this namespace: each of its commands with its usage.",
        json_schema_extra={"positional": True},
    )
    form: Literal["skill", "agents"] = Field(
        default="skill", description="A skill file, or a section of AGENTS.md between two marks."
    )
    to: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="Write it to this file; of AGENTS.md only the section is replaced.",
        json_schema_extra={"metavar": "PATH"},
    )


class SkillWritten(Model):
    """Where the text was written, and whether the file is another now. Without --to the text itself is printed."""

    path: str
    change: Literal["created", "updated", "unchanged"]
    bytes: int


class WriteSkill(CommandHandler[SkillArguments, SkillWritten | OutputStream]):
    """Write a skill file, or a section of AGENTS.md, for agents.

    It is generated from the commands that there are. A namespace is opened by its name.
    """

    path = ("skill",)
    arguments = SkillArguments
    result = SkillWritten
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    command_line_only = True
    errors = (NotFound, CommandNotFound, ValidationError, StorageReadOnly)
    examples = (
        Example(line="nexus skill", shows="The skill file"),
        Example(line="nexus skill agent", shows="The commands of a namespace"),
        Example(line="nexus skill --form agents --to AGENTS.md", shows="A section of AGENTS.md"),
    )

    async def execute(self, context: ExecutionContext[SkillArguments]) -> SkillWritten | OutputStream:
        given = context.args
        text = namespace_text(context.catalog, given.namespace) if given.namespace else whole_text(context.catalog)
        if given.form == "agents":
            text = f"{BEGIN}\n{text}{END}\n"
        elif not given.namespace:
            text = f"{_front_matter()}\n{text}"
        if given.to is None:
            return TextStream(text.encode())
        return await asyncio.to_thread(_written, context.cwd / given.to, text, section=given.form == "agents")


def _front_matter() -> str:
    return (
        "---\nname: nexus\ndescription: Drive projects, agents, terminals, files, pipelines and machines by the nexus "
        "command line. Use it when work is kept in nexus.\n---\n"
    )


def whole_text(catalog: CommandCatalog) -> str:
    """Return how nexus is used, and its namespaces."""
    root = catalog.node(())
    children = root.children if isinstance(root, GroupSpec) else ()
    groups = [f"- `{child.name}` {child.summary}" for child in children if child.kind == "group"]
    lines = ["# nexus", "", _HOW, "## Namespaces", "", "`nexus skill NAMESPACE` opens one.", "", *groups]
    return "\n".join(lines) + "\n"


def namespace_text(catalog: CommandCatalog, name: str) -> str:
    """Return every command of a namespace with its usage. Raises `CommandNotFound`."""
    node = catalog.find([name])
    specs = [node] if isinstance(node, CommandSpec) else catalog.commands(node.path)
    lines = [f"# nexus {' '.join(node.path)}", "", node.summary, ""]
    for spec in specs:
        needs = f" Needs a {' and a '.join(spec.context)}." if spec.context else ""
        lines.append(f"- `{help_of(spec).usage}` {spec.summary}{needs}")
    return "\n".join(lines) + "\n"


def _written(path: Path, text: str, *, section: bool) -> SkillWritten:
    """Write the file whole, or its section alone. Raises `ValidationError`, `StorageReadOnly`."""
    try:
        before = _content(path)
        after = _with_section(before, text) if section else text
        if after != before:
            _put(path, after)
    except UnicodeDecodeError as error:
        raise ValidationError.because(f"{path} is no text of UTF-8.", field="to") from error
    except OSError as error:
        raise StorageReadOnly(path=str(path), reason=error.strerror) from error
    change: Literal["created", "updated", "unchanged"] = "created" if before is None else "updated"
    return SkillWritten(
        path=str(path), change="unchanged" if after == before else change, bytes=len(after.encode("utf-8"))
    )


def _content(path: Path) -> str | None:
    if not path.exists():
        return None
    if not path.is_file():
        raise ValidationError.because(f"{path} is no regular file.", field="to")
    with open_regular(path) as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValidationError.because(f"{path} is larger than {_MOST_BYTES} bytes.", field="to")
    return content.decode("utf-8")


def _with_section(before: str | None, section: str) -> str:
    if not before:
        return section
    head, begun, rest = before.partition(BEGIN)
    _, ended, tail = rest.partition(END + "\n")
    if begun and ended:
        return f"{head}{section}{tail}"
    return f"{before.rstrip()}\n\n{section}"


def _put(path: Path, text: str) -> None:
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
