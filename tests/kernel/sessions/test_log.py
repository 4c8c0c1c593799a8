"""The event log: committed before it is seen, read by position, whole after a crash, bounded."""

import asyncio
import json
import sqlite3

import pytest

from nexus.kernel.sessions import log as log_module
from nexus.kernel.sessions.log import EventLog
from nexus.kernel.settings import Limits
from nexus.schemas.errors import (
    SessionClosed,
    SessionGap,
    SessionNotFound,
    StorageFull,
    ValidationError,
    VersionConflict,
)
from tests.kernel.sessions.logs import end, eventually, everything, messages, new_session, numbered, open_log


async def test_lines_are_read_as_they_were_appended(tmp_path):
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        assert await log.append("ses_1", numbered(1, 3)) == 3
        assert await log.append("ses_1", numbered(4, 4)) == 4
        events = await everything(log, stream)
        assert messages(events) == ["line 1", "line 2", "line 3", "line 4"]
        assert [event["seq"] for event in events] == [1, 2, 3, 4]


async def test_nothing_is_seen_before_it_is_committed(tmp_path):
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        landing = log.put(stream, log_module.Entry(numbered(1, 1)))
        assert stream.landed == 0
        assert await log.read(stream, 0) == []
        await landing
        with sqlite3.connect(tmp_path / "log.db") as other:
            assert other.execute("SELECT last_seq FROM batch").fetchall() == [(1,)]
        assert stream.landed == 1


async def test_a_reader_waits_for_what_comes_next(tmp_path):
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        waiting = asyncio.create_task(stream.wait(0, 5))
        await asyncio.sleep(0)
        await log.append("ses_1", numbered(1, 1))
        assert await waiting
        assert not await stream.wait(1, 0.01)


async def test_a_log_that_was_closed_goes_on_where_it_was(tmp_path):
    async with open_log(tmp_path) as log:
        await new_session(log)
        await log.append("ses_1", numbered(1, 5))
    async with open_log(tmp_path) as log:
        stream = await log.stream("ses_1")
        assert (stream.landed, stream.epoch) == (5, 1)
        await log.append("ses_1", numbered(6, 6))
        events = await everything(log, stream)
        assert len(events) == 6
        assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)


async def test_time_does_not_go_back_when_the_clock_does(tmp_path):
    clock = iter([10**18, 10**18 - 5 * 10**9, *[10**18 - 10**10] * 50])
    async with open_log(tmp_path, clock=lambda: next(clock)) as log:
        stream = await new_session(log)
        for number in range(1, 4):
            await log.append("ses_1", numbered(number, number))
        stamps = [event["timestamp"] for event in await everything(log, stream)]
        assert stamps == sorted(stamps)


async def test_the_end_is_the_last_event_and_nothing_comes_behind_it(tmp_path):
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        await log.append("ses_1", numbered(1, 2))
        await end(log, "exited", 3)
        last = (await everything(log, stream))[-1]
        assert last["event"] == "close"
        assert last["payload"] == {"reason": "exited", "exitCode": 3, "lastSeq": 3}
        assert (await log.read(stream, 2))[-1].end
        with pytest.raises(SessionClosed):
            await log.append("ses_1", numbered(3, 3))


async def test_a_mark_is_committed_with_its_lines(tmp_path):
    async with open_log(tmp_path) as log:
        await new_session(log)
        assert await log.mark("holder:1") == 0
        await log.append("ses_1", numbered(1, 2), mark=("holder:1", 4096))
        assert await log.mark("holder:1") == 4096
    async with open_log(tmp_path) as log:
        assert await log.mark("holder:1") == 4096


async def test_a_position_that_was_never_reached_is_a_gap(tmp_path):
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        await log.append("ses_1", numbered(1, 2))
        with pytest.raises(SessionGap) as caught:
            await log.read(stream, 7)
        assert caught.value.entry().details["missing"] == {"first": 3, "last": 7}


async def test_another_epoch_is_a_gap(tmp_path):
    async with open_log(tmp_path) as log:
        await new_session(log)
        with pytest.raises(SessionGap):
            await log.stream("ses_1", epoch=2)


async def test_a_session_that_is_not_there_is_told(tmp_path):
    async with open_log(tmp_path) as log:
        with pytest.raises(SessionNotFound):
            await log.append("ses_none", numbered(1, 1))


async def test_an_event_too_large_is_refused_and_leaves_no_hole(tmp_path):
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        with pytest.raises(ValidationError):
            await log.append("ses_1", ["{}", '"' + "x" * log_module.MOST_LINE_BYTES + '"'])
        await log.append("ses_1", numbered(1, 1))
        assert messages(await everything(log, stream)) == ["line 1"]


async def test_a_session_over_its_size_loses_its_oldest_lines_and_says_which(tmp_path):
    limits = Limits(session_bytes=300_000)
    async with open_log(tmp_path, limits=limits) as log:
        stream = await new_session(log)
        for start in range(1, 10_001, 500):
            await log.append("ses_1", numbered(start, start + 499))
        log._writer.chores()
        # Until it is through: it goes on by pieces, also while somebody reads.
        await eventually(lambda: stream.bytes <= 300_000)
        assert stream.trimmed > 0
        with pytest.raises(SessionGap) as caught:
            await log.read(stream, 0)
        details = caught.value.entry().details
        assert details["missing"] == {"first": 1, "last": stream.trimmed}
        assert details["oldest"] == stream.trimmed + 1
        assert len(await everything(log, stream, after=stream.trimmed)) == 10_000 - stream.trimmed


async def test_lines_over_their_age_go_and_then_the_closed_session(tmp_path):
    clock = [10**18]
    async with open_log(tmp_path, limits=Limits(age_seconds=60), clock=lambda: clock[0]) as log:
        await new_session(log)
        await log.append("ses_1", numbered(1, 10))
        await end(log, "exited", 0)
        clock[0] += 100 * 10**9
        log._writer.chores()
        await eventually(lambda: not log._database.rows("SELECT 1 FROM session"))
        assert await log.query("SELECT 1 FROM batch") == []
        assert await log.query("SELECT 1 FROM stream") == []


async def test_a_full_disk_makes_the_writer_wait_and_say_so_and_loses_nothing(tmp_path):
    """The quota of the file is SQLite's own: it answers as a full disk does."""
    async with open_log(tmp_path, limits=Limits(quota_bytes=1_000_000, session_bytes=10**9)) as log:
        stream = await new_session(log)

        async def flood():
            for start in range(1, 20_001, 100):
                await log.append("ses_1", numbered(start, start + 99))

        flooding = asyncio.create_task(flood())
        await eventually(lambda: log.stalled is not None)
        assert isinstance(log.stalled, StorageFull)
        assert not flooding.done()
        seen = len(await everything(log, stream))
        await log._in_thread(lambda: log._database._writer.execute("PRAGMA max_page_count = 1000000"))
        await asyncio.wait_for(flooding, 10)
        assert log.stalled is None
        events = await everything(log, stream)
        assert seen < len(events) == 20_000
        assert messages(events)[-1] == "line 20000"


async def test_a_slow_reader_holds_up_neither_the_writer_nor_another_reader(tmp_path):
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        await log.append("ses_1", numbered(1, 10))
        slow = await log.read(stream, 0, 100)
        for start in range(11, 30_000, 1000):
            await log.append("ses_1", numbered(start, start + 999))
        assert len(await everything(log, stream)) == stream.landed
        assert len(await everything(log, stream, after=slow[-1].last)) == stream.landed - slow[-1].last


async def test_many_small_appends_become_few_rows(tmp_path):
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        await asyncio.gather(*[log.put(stream, log_module.Entry(numbered(n, n))) for n in range(1, 5001)])
        rows = (await log.query("SELECT count(*) FROM batch"))[0][0]
        assert rows < 100
        assert len(await everything(log, stream)) == 5000


async def test_after_a_power_cut_the_stream_is_another_epoch(tmp_path, monkeypatch):
    """Commits that readers saw may be gone then, so their positions must not be taken for those of new events."""
    monkeypatch.setattr(log_module, "boot_id", lambda: "before")
    log = EventLog(tmp_path / "log.db")
    await log.open()
    await new_session(log)
    await log.append("ses_1", numbered(1, 5))
    await log._in_thread(log._writer.stop)  # no clean end is noted
    monkeypatch.setattr(log_module, "boot_id", lambda: "after")
    async with open_log(tmp_path) as again:
        assert (await again.stream("ses_1")).epoch == 2
        with pytest.raises(SessionGap):
            await again.stream("ses_1", epoch=1)
    async with open_log(tmp_path) as clean:
        assert (await clean.stream("ses_1")).epoch == 2


async def test_a_newer_file_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "log.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(VersionConflict):
        await EventLog(tmp_path / "log.db").open()


async def test_rows_hold_the_very_lines_that_are_printed(tmp_path):
    async with open_log(tmp_path) as log:
        await new_session(log)
        await log.append("ses_1", ['{"type":"terminal-output","content":"a\\u2028é","contentType":"raw"}'])
        stored = (await log.query("SELECT lines FROM batch"))[0][0]
        assert json.loads(stored)["payload"]["content"] == "a\u2028é"
