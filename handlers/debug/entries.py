"""Log entries that a session keeps: found among its events, and written to a file."""

import json
import os
import tempfile
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from nexus.schemas.errors import StorageFull, StorageReadOnly, ValidationError
from nexus.schemas.log import LEVEL_RANK, LogEntry, LogQuery
from nexus.schemas.model import rfc3339
from nexus.schemas.page import Page
from nexus.schemas.regular import expect_regular
from nexus.sessions.client import SessionClient

LINES_ALONE = (".log", ".txt")


async def of_session(client: SessionClient, session_id: str, query: LogQuery) -> Page[LogEntry]:
    """Return the newest entries that fit among a session's events until now. The cursor is an event's number."""
    before = _before(query.cursor)
    attachment = await client.attach(session_id)
    newest = attachment.joined.newest
    kept: deque[tuple[int, LogEntry]] = deque(maxlen=query.limit + 1)
    last = attachment.joined.after
    try:
        while last < min(newest, before - 1):
            batch = await attachment.receive()
            if batch is None:
                break
            for line in batch.lines.splitlines():
                event = json.loads(line)
                if event["seq"] < before and _fits(event, query):
                    kept.append((event["seq"], _entry(event)))
            last = batch.last
            await attachment.consumed(last)
    finally:
        await attachment.aclose()
    more = len(kept) > query.limit
    if more:
        kept.popleft()
    cursor = str(kept[0][0]) if more else None
    return Page[LogEntry](items=[entry for _, entry in kept], next_cursor=cursor, truncated=more)


def write_entries(path: str, pages: Iterable[Iterable[LogEntry]], umask: int) -> int:
    """Write entries to a file, which is there whole or not at all, and return its size. Blocks.

    Raises StorageReadOnly and StorageFull.
    """
    target = Path(path)
    alone = target.suffix in LINES_ALONE
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}-", delete=False) as file:
            try:
                for page in pages:
                    for entry in page:
                        line = entry.message if alone else entry.model_dump_json(by_alias=True)
                        file.write(line.encode("utf-8", "replace") + b"\n")
                size = file.tell()
                os.fchmod(file.fileno(), 0o666 & ~umask)
                file.flush()
                os.fsync(file.fileno())
                expect_regular(target)
                os.replace(file.name, target)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise StorageFull(path=path) from error
        raise StorageReadOnly(
            path=path, hint="Name a file in a folder that is there and that you can write to."
        ) from error
    return size


def _fits(event: dict[str, Any], query: LogQuery) -> bool:
    payload = event["payload"]
    if payload.get("type") != "log":
        return False
    if query.level is not None and LEVEL_RANK.get(payload["level"], -1) < LEVEL_RANK[query.level]:
        return False
    moment = payload.get("time") or event["timestamp"]
    if query.since is not None and moment < rfc3339(query.since):
        return False
    if query.until is not None and moment > rfc3339(query.until):
        return False
    return query.text is None or query.text.casefold() in payload["message"].casefold()


def _entry(event: dict[str, Any]) -> LogEntry:
    payload = event["payload"]
    moment = datetime.fromisoformat(payload.get("time") or event["timestamp"])
    return LogEntry(time=moment, level=payload["level"], message=payload["message"], source=payload["source"])


def _before(cursor: str | None) -> int:
    if cursor is None:
        return 1 << 62
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise ValidationError.because("The cursor is not one that was given.", field="cursor")
    return int(cursor)
