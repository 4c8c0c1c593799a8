"""`session live`: every session from any command, over the whole path of a command and a real kernel."""

import asyncio
import json
import shlex
import signal
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from nexus.call import Call
from nexus.cli.run import run
from nexus.schemas.session import NewSession
from nexus.sessions.client import SessionClient
from nexus.sessions.local import LocalTransport
from tests.handlers.conftest import Given, Kept, Nexus
from tests.sessions.echo import ECHO, Echo


@pytest.fixture
async def client(nexus: Nexus) -> AsyncIterator[SessionClient]:
    sessions = nexus.runtime.kernel.kernel.sessions
    sessions.types.add(ECHO)
    sessions.drivers.add("echo", Echo)
    return SessionClient(LocalTransport(sessions))


@pytest.fixture
async def echo(client: SessionClient) -> str:
    return (await client.create(NewSession(type="echo"))).session_id


class Signalled:
    """A caller that sends a signal when it is told to."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[int] = asyncio.Queue()

    async def next(self) -> int:
        return await self.sent.get()


async def streamed(nexus: Nexus, line: str, signals: Signalled | None = None) -> tuple[int, list[dict]]:
    """Run a command that streams; return its exit status and events."""
    stdout = Kept()
    call = Call(
        argv=tuple(shlex.split(line)),
        cwd=nexus.cwd,
        environment={"HOME": str(nexus.cwd)},
        stdin=Given(),
        stdout=stdout,
        stderr=Kept(),
        signals=signals or Signalled(),
    )
    status = await asyncio.wait_for(run(call, nexus.runtime), 20)
    return status, [json.loads(each) for each in stdout.written.splitlines()]


async def test_a_session_is_listed_and_viewed(nexus, echo):
    listed = (await nexus("session live list --type echo")).data
    assert [each["sessionId"] for each in listed["items"]] == [echo]
    view = (await nexus(f"session live view {echo}")).data
    assert (view["type"], view["status"], view["epoch"], view["newest"]) == ("echo", "active", 1, 0)
    assert view["capabilities"]["interrupt"] is True


async def test_the_short_names_are_the_same_commands(nexus, echo):
    assert (await nexus("session list")).data["items"][0]["sessionId"] == echo
    assert (await nexus(f"session get {echo}")).data["sessionId"] == echo


async def test_input_is_sent_and_read_back(nexus, echo):
    assert (await nexus(f"session live send {echo} 'hello there'")).data == {
        "number": 1,
        "repeated": False,
        "change": "updated",
    }
    assert (await nexus(f"session live send {echo} -", stdin=b"from stdin")).data["number"] == 1
    status, events = await streamed(nexus, f"session live events {echo}")
    assert status == 0
    assert [event["event"] for event in events] == ["metadata", "data", "data", "close"]
    assert [event["payload"]["content"] for event in events[1:3]] == ["hello there", "from stdin"]


async def test_input_under_one_key_is_applied_once(nexus, echo):
    for repeated in (False, True):
        answer = (await nexus(f"session live send {echo} x --idempotency-key k1")).data
        assert answer == {"number": 1, "repeated": repeated, "change": "unchanged" if repeated else "updated"}
    assert (await nexus(f"session live view {echo}")).data["newest"] == 1


async def test_the_session_may_be_named_by_flag_or_environment(nexus, echo):
    assert (await nexus(f"session live view --session-id {echo}")).data["sessionId"] == echo
    named = await nexus("session live view", environment={"NEXUS_SESSION_ID": echo})
    assert named.data["sessionId"] == echo
    assert (await nexus("session live view")).error["code"] == "VALIDATION_ERROR"


async def test_a_follower_stops_at_once_when_it_is_interrupted(nexus, echo, client):
    signals = Signalled()
    following = asyncio.create_task(streamed(nexus, f"session live attach {echo}", signals))
    await client.send(echo, b"print 10")
    async with asyncio.timeout(10):
        while not (await client.view(echo)).readers:  # noqa: ASYNC110 -- the reader's coming is not announced
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    started = monotonic()
    signals.sent.put_nowait(signal.SIGINT)
    status, events = await following
    assert monotonic() - started < 20
    assert status == 130
    assert [event["event"] for event in events] == ["metadata", *["data"] * 10, "interrupt", "close"]
    assert events[-1]["payload"]["lastSeq"] == 10
    assert (await client.view(echo)).status == "active"


async def test_a_follower_ends_by_sigterm_with_143(nexus, echo, client):
    signals = Signalled()
    following = asyncio.create_task(streamed(nexus, f"session live events {echo} --follow", signals))
    async with asyncio.timeout(10):
        while not (await client.view(echo)).readers:  # noqa: ASYNC110 -- the reader's coming is not announced
            await asyncio.sleep(0.01)
    signals.sent.put_nowait(signal.SIGTERM)
    status, events = await following
    assert status == 143
    assert [event["event"] for event in events] == ["metadata", "interrupt", "close"]


async def test_a_follower_ends_with_its_session(nexus, echo, client):
    await client.send(echo, b"print 3")
    await client.send(echo, b"exit 5")
    status, events = await streamed(nexus, f"session live events {echo} --follow")
    assert status == 0
    assert events[-1]["payload"] == {"reason": "exited", "exitCode": 5, "lastSeq": 4}


async def test_a_failure_before_the_first_event_is_an_envelope(nexus):
    answer = await nexus("session live events ses_none --follow")
    assert answer.error["code"] == "SESSION_NOT_FOUND"
    assert answer.status == 8


async def test_a_place_that_is_not_kept_is_a_gap(nexus, echo):
    answer = await nexus(f"session live events {echo} --epoch 1 --after 12")
    assert answer.error["code"] == "SESSION_GAP"
    assert answer.error["details"]["missing"] == {"first": 1, "last": 12}


async def test_a_closed_session_is_not_attached_to_but_its_events_stay(nexus, echo, client):
    await client.send(echo, b"x")
    for change in ("updated", "unchanged"):
        closed = (await nexus(f"session live close {echo}")).data
        assert (closed["status"], closed["change"]) == ("closed", change)
    assert (await nexus(f"session live attach {echo}")).error["code"] == "SESSION_CLOSED"
    assert (await nexus(f"session live send {echo} y")).error["code"] == "SESSION_CLOSED"
    _, events = await streamed(nexus, f"session live events {echo}")
    assert [event["event"] for event in events] == ["metadata", "data", "close"]


async def test_a_stream_is_collected_into_one_envelope(nexus, echo, client):
    await client.send(echo, b"print 20")
    data = (await nexus(f"session live events {echo} --collect --limit 5 --follow")).data
    assert [event["seq"] for event in data["events"]] == [1, 2, 3, 4, 5]
    assert (data["lastSeq"], data["truncated"], data["epoch"]) == (5, True, 1)
    rest = (await nexus(f"session live events {echo} --collect --after 5")).data
    assert (len(rest["events"]), rest["truncated"]) == (15, False)


async def test_interrupt_resize_and_restart_reach_the_session(nexus, echo):
    await nexus.all(f"session live interrupt {echo}", f"session live resize {echo} --columns 99 --rows 9")
    _, events = await streamed(nexus, f"session live events {echo}")
    assert [event["payload"].get("content") for event in events[1:3]] == ["interrupted", "99x9"]
    assert (await nexus(f"session live restart {echo}")).data["epoch"] == 2


async def test_polling_prints_the_same_stream(nexus, echo, client):
    await client.send(echo, b"print 2000")
    await client.send(echo, b"exit 0")
    _, local = await streamed(nexus, f"session live events {echo}")
    _, polled = await streamed(nexus, f"session live events {echo} --transport polling --poll-interval 5")
    assert polled == local
