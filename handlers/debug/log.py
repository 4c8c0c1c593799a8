"""Logs: what processes print and files hold, with levels and times read from them."""

import asyncio
import os
import re
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from nexus.handlers.debug.entries import of_session, write_entries
from nexus.handlers.debug.process import PROCESS, debug_stream
from nexus.handlers.listing import query_of
from nexus.handlers.places import absolute
from nexus.handlers.session.own import own_stream
from nexus.handlers.session.streams import (
    STREAM_ERRORS,
    STREAM_EVENTS,
    Collected,
    StreamArguments,
    TransportArguments,
    client_of,
    collected,
    stream_of,
)
from nexus.schemas.command import Arguments, Change, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import NexusError, NotFound, StorageFull, StorageReadOnly
from nexus.schemas.log import LogEntry, LogLevel, LogOptions, LogQuery
from nexus.schemas.model import Model, rfc3339
from nexus.schemas.page import Page
from nexus.schemas.process import ProcessInfo
from nexus.schemas.session import SessionQuery
from nexus.schemas.stream import OutputStream
from nexus.sessions.client import SessionClient

MADE = ("printf '2026-11-20 12:00:00 INFO ready\\n2026-11-20 12:00:01 ERROR broken\\n' > app.log",)
"""What the examples stand on."""

LOG_ERRORS = (*STREAM_ERRORS, NotFound)
MOST_EXPORTED = 1_000_000


class SourceArguments(Arguments):
    """Whose log it is."""

    id: str | None = Field(default=None, min_length=1, max_length=200, description="A process that was started here.")
    pid: int | None = Field(default=None, ge=1, description="A process that writes its output to a file.")
    file: str | None = Field(default=None, min_length=1, max_length=4096, description="A log file.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(given is not None for given in (self.id, self.pid, self.file)) != 1:
            raise PydanticCustomError("one_source", "Give exactly one of --id, --pid and --file.")
        return self


def moment(text: str) -> str:
    """Read a moment, or `10m` as ten minutes ago, and write it as RFC 3339 in UTC. Raises for anything else."""
    ago = re.fullmatch(r"(\d{1,9})([smhd])", text)
    try:
        if ago is not None:
            seconds = int(ago[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[ago[2]]
            return rfc3339(datetime.now(UTC) - timedelta(seconds=seconds))
        return rfc3339(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise PydanticCustomError(
            "moment", "A moment is written as 2026-11-20T12:00:00Z, or as 10m for ten minutes ago."
        ) from None


Moment = Annotated[str, AfterValidator(moment)]


class FindArguments(SourceArguments, TransportArguments):
    """Which entries."""

    since: Moment | None = Field(
        default=None,
        description="None before this moment; 10m is ten minutes ago.",
        json_schema_extra={"aliases": ["from"], "metavar": "TIME"},
    )
    until: Moment | None = Field(
        default=None, description="None after this moment.", json_schema_extra={"aliases": ["to"], "metavar": "TIME"}
    )
    level: LogLevel | None = Field(default=None, description="Of this level and above.")


class TailArguments(SourceArguments, StreamArguments):
    lines: int = Field(
        default=50, ge=0, le=1_000_000, description="How many of the last lines.", json_schema_extra={"short": "n"}
    )
    follow: bool = Field(default=False, description="Go on with what comes.", json_schema_extra={"short": "f"})


class ViewArguments(FindArguments):
    limit: int = Field(default=100, ge=1, le=10_000, description="How many entries at the most: the newest.")
    cursor: str | None = Field(default=None, description="Go on from the nextCursor of an earlier page, backwards.")


class SearchArguments(ViewArguments):
    text: str = Field(
        min_length=1,
        max_length=1000,
        description="What a line contains, in whatever case.",
        json_schema_extra={"positional": True},
    )


class ExportArguments(FindArguments):
    until: Moment | None = Field(
        default=None, description="None after this moment.", json_schema_extra={"metavar": "TIME"}
    )
    text: str | None = Field(
        default=None, min_length=1, max_length=1000, description="Only lines that contain this, in whatever case."
    )
    to: str = Field(
        min_length=1,
        max_length=4096,
        description="The file to write: entries as NDJSON, or the lines alone when it ends in .log or .txt.",
    )
    limit: int = Field(
        default=MOST_EXPORTED, ge=1, le=MOST_EXPORTED, description="How many entries at the most: the newest."
    )


class Exported(Model):
    """What was written. `truncated` says that there were more entries than `--limit`."""

    path: str
    entries: int
    size: int
    truncated: bool


class TailLog(CommandHandler[TailArguments, OutputStream | Collected]):
    """Print the last lines of a log as events; with --follow go on, over rotation and truncation of a file."""

    path = ("debug", "log", "tail")
    arguments = TailArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING})
    errors = LOG_ERRORS
    events = STREAM_EVENTS
    examples = (
        Example(line="nexus debug log tail --file app.log", shows="Its last 50 lines", needs=MADE),
        Example(line="nexus debug log tail --file app.log --lines 1 --collect", shows="One envelope", needs=MADE),
    )

    async def execute(self, context: ExecutionContext[TailArguments]) -> OutputStream | Collected:
        args = context.args
        stream: OutputStream
        if args.id is not None:
            client = await client_of(context)
            session_id = await session_of(context, client, args.id)
            if args.tail is None and args.after is None:
                args.tail = args.lines
            stream = stream_of(
                client, session_id, args, follow=args.follow and not args.collect, printed=context.printed
            )
        else:
            options = LogOptions(
                file=_file(context), pid=args.pid, lines=args.lines, follow=args.follow and not args.collect
            )
            reference = None if args.pid is None else str(args.pid)
            stream = await own_stream(context, lambda client: debug_stream(client, reference, options))
        return await collected(stream) if args.collect else stream


class ViewLog(CommandHandler[ViewArguments, Page[LogEntry]]):
    """Show entries of a log by time and level: the newest that fit, the oldest of them first."""

    path = ("debug", "log", "view")
    arguments = ViewArguments
    result = Page[LogEntry]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = LOG_ERRORS
    examples = (
        Example(line="nexus debug log view --file app.log --level error", shows="What went wrong", needs=MADE),
        Example(line="nexus debug log view --file app.log --from 10m", shows="The last ten minutes", needs=MADE),
    )

    async def execute(self, context: ExecutionContext[ViewArguments]) -> Page[LogEntry]:
        args = context.args
        return await found(context, text=None, limit=args.limit, cursor=args.cursor)


class SearchLog(CommandHandler[SearchArguments, Page[LogEntry]]):
    """Find a text in a log: the newest entries that contain it, the oldest of them first."""

    path = ("debug", "log", "search")
    arguments = SearchArguments
    result = Page[LogEntry]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = LOG_ERRORS
    examples = (Example(line="nexus debug log search broken --file app.log", shows="Where it broke", needs=MADE),)

    async def execute(self, context: ExecutionContext[SearchArguments]) -> Page[LogEntry]:
        args = context.args
        return await found(context, text=args.text, limit=args.limit, cursor=args.cursor)


class ExportLog(CommandHandler[ExportArguments, Exported]):
    """Write entries of a log to a file, which is there whole or not at all."""

    path = ("debug", "log", "export")
    arguments = ExportArguments
    result = Exported
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "created"
    errors = (*LOG_ERRORS, StorageReadOnly, StorageFull)
    examples = (
        Example(
            line="nexus debug log export --file app.log --to errors.ndjson --level error",
            shows="A file of them",
            needs=MADE,
        ),
    )

    async def execute(self, context: ExecutionContext[ExportArguments]) -> Outcome[Exported]:
        args = context.args
        pages: deque[list[LogEntry]] = deque()
        count, cursor = 0, None
        while count < args.limit:
            page = await found(context, text=args.text, limit=min(10_000, args.limit - count), cursor=cursor)
            pages.appendleft(page.items)
            count += len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
        target = absolute(args.to, context.cwd, context.environment)
        change: Change = "updated" if await asyncio.to_thread(os.path.lexists, target) else "created"
        size = await asyncio.to_thread(write_entries, target, pages, context.umask)
        return Outcome(Exported(path=target, entries=count, size=size, truncated=cursor is not None), change=change)


def _file(context: ExecutionContext[Any]) -> str | None:
    given: str | None = context.args.file
    return None if given is None else absolute(given, context.cwd, context.environment)


async def found(context: ExecutionContext[Any], *, text: str | None, limit: int, cursor: str | None) -> Page[LogEntry]:
    """Return a page of the entries that the arguments ask for, of a file by the API, of a process by its session."""
    args = context.args
    query = LogQuery(
        file=_file(context) or args.id,
        pid=args.pid,
        since=args.since and datetime.fromisoformat(args.since),
        until=args.until and datetime.fromisoformat(args.until),
        level=args.level,
        text=text,
        limit=limit,
        cursor=cursor,
    )
    if args.id is None:
        return await context.api.get("/api/debug/logs", Page[LogEntry], query=query_of(query))
    client = await client_of(context)
    return await of_session(client, await session_of(context, client, args.id), query)


async def session_of(context: ExecutionContext[Any], client: SessionClient, process: str) -> str:
    """Return the session that keeps what a started process prints, also of one that ended. Raises `NotFound`."""
    if process.startswith("ses_"):
        return process
    try:
        known = (await context.api.get(PROCESS, ProcessInfo, at={"id": process})).session_id
    except NexusError as error:
        if error.entry().type != "not_found":
            raise
        ended = await client.list(SessionQuery(type="debug-stream", include_closed=True, filter=process, limit=1))
        known = ended.items[0].session_id if ended.items else None
    if known is None:
        raise NotFound(resource="process", reference=process, hint="nexus debug process list")
    return known
