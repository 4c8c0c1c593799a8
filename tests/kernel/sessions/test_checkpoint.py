"""The write-ahead log is moved beside the commits: it stays bounded under a flood, and what is small goes through."""

import asyncio
import threading

import pytest

from nexus.kernel.sessions import checkpoint
from nexus.kernel.sessions.database import LogDatabase
from nexus.kernel.sessions.log import Entry
from nexus.sessions import lines
from tests.kernel.sessions.logs import eventually, everything, new_session, numbered, open_log

MEGABYTE = 1024 * 1024
PIECE = lines.terminal_output("x" * 60_000)


async def test_the_write_ahead_log_is_bounded_under_a_flood(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY_BYTES", MEGABYTE)
    monkeypatch.setattr(checkpoint, "MOST_BYTES", 4 * MEGABYTE)
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        wal, pieces = tmp_path / "log.db-wal", 0
        # However slow the disk: the log stops growing with what is appended.
        while pieces < 500 or stream.bytes < 3 * wal.stat().st_size:
            await log.append("ses_1", [PIECE])
            pieces += 1
            assert pieces < 20_000, "the write-ahead log grows without end"
        assert len(await everything(log, stream)) == pieces


async def test_a_flood_waits_for_a_disk_that_does_not_keep_up_and_keys_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY_BYTES", MEGABYTE)
    monkeypatch.setattr(checkpoint, "MOST_BYTES", 4 * MEGABYTE)
    slow, real = threading.Event(), LogDatabase.checkpoint

    def waits(self, *, truncate: bool = False) -> int:
        assert slow.wait(60)
        return real(self, truncate=truncate)

    monkeypatch.setattr(LogDatabase, "checkpoint", waits)
    async with open_log(tmp_path) as log:
        flood, key = await new_session(log, "ses_1"), await new_session(log, "ses_2")
        pieces = 0
        while not log._writer._held:
            await asyncio.wait_for(log.put(flood, Entry([PIECE])), 30)
            pieces += 1
            assert pieces * len(PIECE) < 40 * MEGABYTE, "the flood does not wait"
        waiting = log.put(flood, Entry([PIECE]))
        await asyncio.wait_for(log.put(key, Entry(numbered(1, 1))), 30)
        assert not waiting.done()
        slow.set()
        await asyncio.wait_for(waiting, 60)
        assert len(await everything(log, flood)) == pieces + 1


async def test_the_disk_gets_back_what_a_flood_took(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "IDLE_SECONDS", 0.05)
    async with open_log(tmp_path) as log:
        await new_session(log)
        for _ in range(100):
            await log.append("ses_1", [PIECE])
        await eventually(lambda: (tmp_path / "log.db-wal").stat().st_size == 0)


async def test_floods_wait_in_a_calm_and_keys_do_not(tmp_path):
    async with open_log(tmp_path) as log:
        flood, key = await new_session(log, "ses_1"), await new_session(log, "ses_2")
        with log._writer.calm():
            large = log.put(flood, Entry([PIECE]))
            behind = log.put(flood, Entry(numbered(1, 1)))
            await asyncio.wait_for(log.put(key, Entry(numbered(1, 1))), 5)
            assert key.landed == 1
            assert not large.done()
            assert not behind.done()
        assert [await asyncio.wait_for(each, 5) for each in (large, behind)] == [1, 2]
        assert len(await everything(log, flood)) == 2


async def test_a_checkpoint_that_fails_loses_nothing_and_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY_BYTES", 1000)
    monkeypatch.setattr(checkpoint, "IDLE_SECONDS", 0.05)
    failed = threading.Event()
    real = LogDatabase.checkpoint

    def fails_once(self, *, truncate: bool = False) -> int:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("the disk is away")
        again.set()
        return real(self, truncate=truncate)

    again = threading.Event()
    monkeypatch.setattr(LogDatabase, "checkpoint", fails_once)
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        for number in range(1, 200):
            await log.append("ses_1", numbered(number, number))
        await eventually(again.is_set)
        assert len(await everything(log, stream)) == 199


async def test_a_checkpoint_that_fails_is_tried_again_though_nothing_more_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "IDLE_SECONDS", 0.05)
    rounds = []

    def fails_twice(self, *, truncate: bool = False) -> int:
        rounds.append(truncate)
        if len(rounds) < 3:
            raise RuntimeError("the disk is away")
        return 0

    async with open_log(tmp_path) as log:
        await new_session(log)
        await log.append("ses_1", numbered(1, 1))
        monkeypatch.setattr(LogDatabase, "checkpoint", fails_twice)
        await eventually(lambda: len(rounds) >= 3, 60)


@pytest.mark.parametrize("count", [1, 50])
async def test_what_is_put_in_a_calm_is_committed_when_the_log_closes(tmp_path, count):
    async with open_log(tmp_path) as log:
        stream = await new_session(log)
        calm = log._writer.calm()
        calm.__enter__()
        for _ in range(count):
            log.put(stream, Entry([PIECE]))
    async with open_log(tmp_path) as log:
        assert (await log.stream("ses_1")).landed == count
