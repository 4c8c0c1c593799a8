"""A stream as a command prints it: metadata first, close last, exactly one each, whatever happens between."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest

from nexus.kernel.kernel import Kernel
from nexus.schemas.errors import SessionNotFound
from nexus.schemas.event import Event
from nexus.schemas.session import NewSession
from nexus.sessions.client import SessionClient
from nexus.sessions.follow import Follow, SessionStream, Through
from nexus.sessions.local import LocalTransport
from nexus.sessions.stream import Printed
from tests.sessions.servers import echo_kernel


@pytest.fixture
async def kernel(tmp_path: Path) -> AsyncIterator[Kernel]:
    async with echo_kernel(tmp_path) as kernel:
        yield kernel


@pytest.fixture
def client(kernel: Kernel) -> SessionClient:
    return SessionClient(LocalTransport(kernel.sessions))


async def echo(client: SessionClient, *inputs: str) -> str:
    session_id = (await client.create(NewSession(type="echo"))).session_id
    for given in inputs:
        await client.send(session_id, given.encode())
    return session_id


async def printed(stream: SessionStream) -> list[dict]:
    """Print the stream; check what holds for every stream."""
    content = b""
    async with asyncio.timeout(20):
        async for each in stream:
            assert each.data.endswith(b"\n")
            content += each.data
    await stream.aclose()
    return checked(content)


def checked(content: bytes) -> list[dict]:
    events = [json.loads(line) for line in content.splitlines()]
    for line in content.splitlines():
        Event.model_validate_json(line)
    names = [event["event"] for event in events]
    assert names[-1] == "close"
    assert names.count("close") == 1
    stamps = [event["timestamp"] for event in events]
    assert stamps == sorted(stamps)
    return events


async def test_a_stream_is_metadata_then_the_log_then_its_end(client):
    session_id = await echo(client, "print 3", "exit 4")
    stream = SessionStream(client, Follow(session_id))
    events = await printed(stream)
    assert [event["event"] for event in events] == ["metadata", "data", "data", "data", "close"]
    head = events[0]["payload"]
    assert (head["epoch"], head["after"], head["newest"]) == (1, 0, 4)
    assert head["session"]["sessionId"] == session_id
    assert "seq" not in events[0]
    assert events[-1]["seq"] == 4
    assert stream.exit_status == 0


async def test_a_stream_of_what_is_to_come_begins_at_its_sessions_time(client):
    # Its first event may be written already, and not yet known of when the stream is asked for.
    session_id = await echo(client, "exit 0")
    newest = (await client.view(session_id)).newest
    events = await printed(SessionStream(client, Follow(session_id, after=newest)))
    assert events[0]["timestamp"].startswith(events[0]["payload"]["session"]["createdAt"][:23])


async def test_the_programs_exit_code_is_passed_on_when_asked(client):
    stream = SessionStream(client, Follow(await echo(client, "exit 4"), pass_exit_code=True))
    await printed(stream)
    assert stream.exit_status == 4


async def test_without_follow_it_ends_at_what_is_newest(client):
    session_id = await echo(client, "print 3")
    events = await printed(SessionStream(client, Follow(session_id, follow=False)))
    assert [event.get("seq") for event in events] == [None, 1, 2, 3, None]
    assert events[-1]["payload"] == {"reason": "reader", "exitCode": None, "lastSeq": 3}


async def test_a_limit_ends_it_within_a_batch(client):
    session_id = await echo(client, "print 100")
    events = await printed(SessionStream(client, Follow(session_id, after=10, limit=5)))
    assert [event.get("seq") for event in events] == [None, 11, 12, 13, 14, 15, None]
    assert events[-1]["payload"]["lastSeq"] == 15


def even(line: bytes) -> bool:
    event = json.loads(line)
    return event["event"] != "data" or event["seq"] % 2 == 0


async def test_what_is_not_kept_is_not_printed_nor_counted(client):
    session_id = await echo(client, "print 40")
    events = await printed(SessionStream(client, Follow(session_id, after=10, limit=3, keep=even)))
    assert [event.get("seq") for event in events] == [None, 12, 14, 16, None]
    assert events[-1]["payload"]["lastSeq"] == 16
    events = await printed(SessionStream(client, Follow(session_id, follow=False, keep=lambda _: False)))
    assert [event["event"] for event in events] == ["metadata", "close"]
    assert events[-1]["payload"]["lastSeq"] == 40


async def test_what_is_kept_goes_on_where_an_earlier_process_was(client):
    session_id = await echo(client, "print 9", "exit 3")
    asked = Follow(session_id, printed=Printed(session_id, 1, 4, 2), limit=5, keep=even, pass_exit_code=True)
    events = await printed(stream := SessionStream(client, asked))
    assert [event.get("seq") for event in events] == [6, 8, 10]
    assert (events[-1]["payload"]["reason"], stream.exit_status) == ("exited", 3)
    throttled = Follow(session_id, throttle=0.001, keep=even)
    events = await printed(SessionStream(client, throttled))
    assert {event["seq"] % 2 for event in events if "seq" in event} == {0}


async def test_a_session_that_is_not_there_is_an_error_before_the_first_line(client):
    with pytest.raises(Exception, match="no session") as caught:
        await printed(SessionStream(client, Follow("ses_none")))
    assert isinstance(caught.value, SessionNotFound)


@pytest.mark.parametrize(("reason", "told", "status"), [("user-requested",) * 2 + (130,), ("timeout", "timeout", 5)])
async def test_a_stop_gives_interrupt_then_close_at_once(client, reason, told, status):
    session_id = await echo(client, "print 2")
    stream = SessionStream(client, Follow(session_id))
    content, stopped_at = b"", 0.0
    async with asyncio.timeout(10):
        async for each in stream:
            content += each.data
            if each.last == 2:
                asyncio.get_running_loop().call_later(0.05, stream.stop, reason)
                stopped_at = monotonic()
    assert monotonic() - stopped_at < 8
    await stream.aclose()
    events = checked(content)
    assert [event["event"] for event in events[-2:]] == ["interrupt", "close"]
    assert events[-2]["payload"] == {"reason": told}
    assert events[-1]["payload"] == {"reason": "reader", "exitCode": None, "lastSeq": 2}
    assert stream.exit_status == status
    assert (await client.view(session_id)).status == "active"


async def test_a_stop_interrupts_the_session_where_the_command_asks_for_it(client):
    session_id = await echo(client, "x")
    stream = SessionStream(client, Follow(session_id, on_stop=lambda _: client.interrupt(session_id)))
    async for each in stream:
        if each.last == 1:
            stream.stop("user-requested")
    await stream.aclose()
    attachment = await client.attach(session_id, after=1, epoch=1)
    batch = await asyncio.wait_for(attachment.receive(), 5)
    assert b"interrupted" in batch.lines
    await attachment.aclose()


async def test_what_was_printed_by_a_process_that_died_is_not_printed_again(client):
    session_id = await echo(client, "print 50", "exit 0")
    whole = await printed(SessionStream(client, Follow(session_id)))
    for seq in (0, 1, 25, 50):
        rest = Follow(session_id, printed=Printed(session_id, 1, seq, seq + 1))
        assert await printed(SessionStream(client, rest)) == whole[seq + 1 :]


async def test_nothing_is_printed_behind_the_end_that_was_printed(client):
    session_id = await echo(client, "print 5", "exit 0")
    stream = SessionStream(client, Follow(session_id, printed=Printed(session_id, 1, 6, 7)))
    assert [each async for each in stream] == []
    assert stream.exit_status == 0


async def test_to_follow_behind_the_end_is_an_error(client):
    session_id = await echo(client, "exit 0")
    events = await printed(SessionStream(client, Follow(session_id, epoch=1, after=1)))
    assert [event["event"] for event in events] == ["metadata", "error", "close"]
    assert events[1]["payload"]["code"] == "SESSION_CLOSED"


async def test_a_limit_counts_what_an_earlier_process_printed(client):
    session_id = await echo(client, "print 50")
    rest = Follow(session_id, limit=20, printed=Printed(session_id, 1, 15, 15))
    events = await printed(SessionStream(client, rest))
    assert [event.get("seq") for event in events] == [16, 17, 18, 19, 20, None]


async def test_a_gap_under_way_is_an_error_and_a_close(client, kernel):
    session_id = await echo(client, "print 10")
    stream = SessionStream(client, Follow(session_id))
    content = b""
    async with asyncio.timeout(10):
        async for each in stream:
            content += each.data
            if each.last == 10:
                # What retention does to a reader that lags.
                (await kernel.sessions.log.stream(session_id)).trim(12, 0)
                (await kernel.sessions.log.stream(session_id)).wake()
                await client.send(session_id, b"print 5")
    events = checked(content)
    assert [event["event"] for event in events[-2:]] == ["error", "close"]
    assert events[-2]["payload"]["code"] == "SESSION_GAP"
    assert events[-2]["payload"]["details"]["missing"] == {"first": 11, "last": 12}
    assert stream.exit_status == 8


async def test_compact_joins_text_and_loses_none(client):
    session_id = await echo(client, "a", "b", "print 2", "c", "d", "exit 0")
    events = await printed(SessionStream(client, Follow(session_id, format="json-compact")))
    texts = [event["payload"] for event in events if event["payload"].get("type") == "terminal-output"]
    assert [text["content"] for text in texts] == ["ab", "cd"]
    assert texts[0]["firstSeq"] == 1
    assert [event.get("seq") for event in events] == [None, 2, 3, 4, 6, 7]


async def test_a_throttle_samples_and_says_how_much_it_left_out(client):
    session_id = await echo(client, "print 1000", "x", "exit 0")
    events = await printed(SessionStream(client, Follow(session_id, throttle=0.05)))
    told = [event["payload"]["throttle"] for event in events if "throttle" in event["payload"]]
    logs = [event for event in events if event["payload"].get("type") == "log"]
    assert sum(each["omitted"] for each in told) + len(logs) == 1000
    assert logs[-1]["payload"]["message"] == "line 1000"
    assert len(logs) < 20


async def test_a_throttle_keeps_its_distance_in_time(client):
    session_id = await echo(client)
    stream = SessionStream(client, Follow(session_id, throttle=0.2))
    times = []

    async def drip():
        for number in range(12):
            await client.send(session_id, b"%d " % number)
            await asyncio.sleep(0.05)
        await client.send(session_id, b"exit 0")

    dripping = asyncio.create_task(drip())
    content = b""
    async for each in stream:
        times.append(monotonic())
        content += each.data
    await dripping
    texts = [event["payload"].get("content", "") for event in checked(content)]
    assert "".join(texts) == "".join(f"{number} " for number in range(12))
    gaps = [later - earlier for earlier, later in pairwise(times[1:-1])]
    assert all(gap > 0.15 for gap in gaps)
    assert len(times) < 9


async def test_a_stream_ends_behind_the_line_that_it_waits_for(client: SessionClient) -> None:
    session_id = await echo(client, "one", "two", "three")

    def through(line: bytes) -> Through | None:
        return Through(5, exit_code=2) if b'"two' in line else None

    stream = SessionStream(client, Follow(session_id, until=through))
    lines = [json.loads(line) for item in [item async for item in stream] for line in item.data.splitlines()]
    assert [line["event"] for line in lines][-2:] == ["data", "close"]
    assert "two" in json.dumps(lines[-2])
    assert lines[-1]["payload"] == {"reason": "reader", "exitCode": 2, "lastSeq": lines[-2]["seq"]}
    assert stream.exit_status == 5
    await stream.aclose()
