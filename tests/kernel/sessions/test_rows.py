"""Of the live sessions of one type in one context one is active, whatever their records in memory say."""

from datetime import UTC, datetime
from pathlib import Path

from nexus.kernel.sessions import rows
from nexus.kernel.sessions.listing import find_record
from nexus.kernel.sessions.record import Record
from nexus.schemas.session import Session
from tests.kernel.sessions.logs import open_log


def record(session_id: str) -> Record:
    return Record(
        session=Session(session_id=session_id, type="terminal", created_at=datetime.now(UTC), transport="local")
    )


async def test_a_record_that_knows_no_better_does_not_become_active_again(tmp_path: Path) -> None:
    first, second = record("ses_1"), record("ses_2")
    async with open_log(tmp_path) as log:
        await log.run(lambda connection: rows.insert(connection, first, None))
        await log.run(lambda connection: rows.insert(connection, second, None))
        assert first.session.status == "active"
        await log.run(lambda connection: rows.update(connection, first))
        assert (await find_record(log, "ses_1"))[0].session.status == "paused"
        assert (await find_record(log, "ses_2"))[0].session.status == "active"


async def test_a_session_that_ends_is_ended_whatever_it_was(tmp_path: Path) -> None:
    first = record("ses_1")
    async with open_log(tmp_path) as log:
        await log.run(lambda connection: rows.insert(connection, first, None))
        first.session.status = "closed"
        await log.run(lambda connection: rows.update(connection, first))
        assert (await find_record(log, "ses_1"))[0].session.status == "closed"
