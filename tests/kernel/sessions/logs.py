"""What the tests of the event log share: a log in a folder, a session in it, and all its lines."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from nexus.kernel.sessions import rows
from nexus.kernel.sessions.listing import find_record
from nexus.kernel.sessions.log import EventLog
from nexus.kernel.sessions.output import SessionOutput
from nexus.kernel.sessions.record import Record
from nexus.kernel.sessions.stream import Stream
from nexus.schemas.session import Session
from nexus.sessions import lines


@asynccontextmanager
async def open_log(folder: Path, **options):
    log = EventLog(folder / "log.db", **options)
    await log.open()
    try:
        yield log
    finally:
        await log.close()


async def new_session(log: EventLog, session_id: str = "ses_1") -> Stream:
    session = Session(session_id=session_id, type="terminal", created_at=datetime.now(UTC), transport="local")
    await log.run(lambda connection: rows.insert(connection, Record(session=session), None))
    return await log.stream(session_id)


def numbered(first: int, last: int) -> list[str]:
    return [lines.log(f"line {number}", "info", "test") for number in range(first, last + 1)]


async def everything(log: EventLog, stream: Stream, after: int = 0) -> list[dict]:
    """Read what is there behind `after`, and check that it is without a hole."""
    found = []
    while batches := await log.read(stream, after, 10_000):
        for batch in batches:
            batch.check()
            assert batch.first == after + 1
            after = batch.last
            found += [json.loads(line) for line in batch.lines.splitlines()]
    return found


def messages(events: list[dict]) -> list[str]:
    return [event["payload"]["message"] for event in events]


async def eventually(check, seconds: float = 10) -> None:
    """Wait until `check()` is true: for what another thread or process does and nobody announces."""
    async with asyncio.timeout(seconds):
        while not check():  # noqa: ASYNC110 -- there is no event to wait for
            await asyncio.sleep(0.005)


async def end(log: EventLog, reason: str, exit_code: int | None) -> None:
    """End the session as its driver does."""
    record, epoch = await find_record(log, "ses_1")
    await SessionOutput(log, record, epoch, lambda: None).end(reason, exit_code)
