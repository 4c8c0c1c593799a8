"""The behaviour suite of the Session ABI: what every transport and every session type must do. For plugins' tests too.

Over a transport: derive a class from `TransportSuite` and give a `rig` fixture. Over a session type: call `check_type`
with a client of a kernel that has its driver. Needs pytest and pytest-asyncio in auto mode.
"""

# ruff: noqa: S101 -- asserting is what a suite does; pytest rewrites it

import asyncio
import json
from typing import Any, Protocol

import pytest

from nexus.schemas.errors import NexusError
from nexus.schemas.session import NewSession, SessionInput, SessionQuery
from nexus.sessions.client import Attachment, SessionClient
from nexus.sessions.types import SessionType

PATIENCE = 20.0


class Rig(Protocol):
    """A kernel with a session type `echo`, and a client of it.

    A session of type echo can do everything. It answers input by a terminal-output event with the same text, prints
    `count` numbered log events when it is sent `print COUNT`, and ends with exit code CODE when sent `exit CODE`.
    """

    @property
    def client(self) -> SessionClient: ...

    async def other_client(self) -> SessionClient:
        """Return another client, over a transport of its own."""
        ...


async def open_echo(rig: Rig, **more: Any) -> str:
    """Open an echo session and return its id."""
    return (await rig.client.create(NewSession(type="echo", **more))).session_id


async def read_until(attachment: Attachment, last: int | None = None) -> list[dict[str, Any]]:
    """Read events up to seq `last`, or to the stream's end; check that they come in order and without a hole."""
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE):
        while last is None or (attachment.reader.last or 0) < last:
            before = attachment.reader.last or 0
            batch = await attachment.receive()
            if batch is None:
                break
            batch.check()
            assert batch.first == before + 1
            events += [json.loads(line) for line in batch.lines.splitlines()]
            await attachment.consumed(batch.last)
    numbers = [event["seq"] for event in events]
    assert not numbers or numbers == list(range(numbers[0], numbers[-1] + 1))
    stamps = [event["timestamp"] for event in events]
    assert stamps == sorted(stamps)
    return events


async def refused(work: Any) -> str:
    """Return the code of the error that the work is refused with."""
    with pytest.raises(NexusError) as caught:
        await work
    return caught.value.entry().code


class TransportSuite:
    """What holds over every transport."""

    async def test_a_session_is_active_from_its_creation(self, rig: Rig) -> None:
        session = await rig.client.create(NewSession(type="echo", options={"note": "a"}))
        assert session.status == "active"
        view = await rig.client.view(session.session_id)
        assert (view.epoch, view.session_id, view.type) == (1, session.session_id, "echo")
        assert session.session_id in [each.session_id for each in (await rig.client.list()).items]

    async def test_what_is_sent_is_applied_and_what_it_prints_is_received(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        attachment = await rig.client.attach(session_id)
        accepted = await rig.client.send(session_id, "grüße".encode())
        assert (accepted.number, accepted.repeated) == (1, False)
        [event] = await read_until(attachment, 1)
        assert event["event"] == "data"
        assert event["sessionId"] == session_id
        assert event["payload"]["content"] == "grüße"
        await attachment.aclose()

    async def test_input_that_comes_again_is_applied_once(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        for _ in range(3):
            await rig.client.send_input(session_id, SessionInput.of("me", 1, b"once"))
        await rig.client.send_input(session_id, SessionInput.of("me", 2, b"twice"))
        attachment = await rig.client.attach(session_id)
        events = await read_until(attachment, 2)
        assert [event["payload"]["content"] for event in events] == ["once", "twice"]
        await attachment.aclose()

    async def test_input_that_jumps_ahead_is_refused(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        given = SessionInput.of("me", 5, b"x")
        assert await refused(rig.client.send_input(session_id, given)) == "SESSION_GAP"

    async def test_a_sender_keeps_the_order_of_what_it_is_given(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        sender = rig.client.sender(session_id)
        for number in range(200):
            await sender.put(b"%d," % number)
        await sender.send(b"end")
        newest = (await rig.client.view(session_id)).newest
        attachment = await rig.client.attach(session_id)
        events = await read_until(attachment, newest)
        typed = "".join(event["payload"]["content"] for event in events)
        assert typed == "".join(f"{number}," for number in range(200)) + "end"
        await sender.aclose()
        await attachment.aclose()

    async def test_a_reader_gets_what_is_stored_and_then_what_comes(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        await rig.client.send(session_id, b"print 500")
        attachment = await rig.client.attach(session_id)
        events = await read_until(attachment, 500)
        await rig.client.send(session_id, b"print 500")
        events += await read_until(attachment, 1000)
        assert [event["seq"] for event in events] == list(range(1, 1001))
        await attachment.aclose()

    async def test_a_reader_joins_behind_any_position(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        await rig.client.send(session_id, b"print 100")
        behind = await rig.client.attach(session_id, epoch=1, after=40)
        assert [event["seq"] for event in await read_until(behind, 100)] == list(range(41, 101))
        newest = await rig.client.attach(session_id, tail=3)
        assert [event["seq"] for event in await read_until(newest, 100)] == [98, 99, 100]
        await behind.aclose()
        await newest.aclose()

    async def test_a_position_that_was_never_reached_is_a_gap(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        assert await refused(rig.client.attach(session_id, epoch=1, after=9)) == "SESSION_GAP"
        assert await refused(rig.client.attach(session_id, epoch=7, after=0)) == "SESSION_GAP"

    async def test_the_end_comes_once_and_is_the_last_event(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        attachment = await rig.client.attach(session_id)
        await rig.client.send(session_id, b"print 10")
        await rig.client.send(session_id, b"exit 7")
        events = await read_until(attachment)
        assert [event["event"] for event in events] == ["data"] * 10 + ["close"]
        assert events[-1]["payload"] == {"reason": "exited", "exitCode": 7, "lastSeq": 11}
        assert await attachment.receive() is None
        assert (await rig.client.view(session_id)).status == "closed"
        again = await rig.client.attach(session_id, epoch=1, after=5)
        assert [event["seq"] for event in await read_until(again)] == list(range(6, 12))

    async def test_behind_the_end_there_is_nothing_to_wait_for(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        await rig.client.send(session_id, b"exit 0")
        attachment = await rig.client.attach(session_id, epoch=1, after=1)
        assert await refused(asyncio.wait_for(attachment.receive(), PATIENCE)) == "SESSION_CLOSED"

    async def test_a_closed_session_takes_no_input(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        assert (await rig.client.close(session_id)).status == "closed"
        assert (await rig.client.close(session_id)).status == "closed"
        assert await refused(rig.client.send(session_id, b"x")) == "SESSION_CLOSED"
        assert await refused(rig.client.interrupt(session_id)) == "SESSION_CLOSED"

    async def test_a_session_that_never_was_is_told(self, rig: Rig) -> None:
        assert await refused(rig.client.view("ses_none")) == "SESSION_NOT_FOUND"
        assert await refused(rig.client.attach("ses_none")) == "SESSION_NOT_FOUND"
        assert await refused(rig.client.send("ses_none", b"x")) == "SESSION_NOT_FOUND"

    async def test_a_session_that_has_expired_says_so(self, rig: Rig) -> None:
        session_id = await open_echo(rig, expires_seconds=0.2)
        attachment = await rig.client.attach(session_id)
        events = await read_until(attachment)
        assert events[-1]["payload"]["reason"] == "expired"
        assert await refused(rig.client.send(session_id, b"x")) == "SESSION_EXPIRED"

    async def test_an_idle_session_closes(self, rig: Rig) -> None:
        session_id = await open_echo(rig, idle_seconds=0.2)
        async with asyncio.timeout(PATIENCE):
            while (await rig.client.view(session_id)).status == "active":  # noqa: ASYNC110 -- no reader may be there
                await asyncio.sleep(0.1)
        assert await refused(rig.client.send(session_id, b"x")) == "SESSION_CLOSED"

    async def test_interrupt_and_resize_reach_the_session(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        attachment = await rig.client.attach(session_id)
        await rig.client.interrupt(session_id)
        await rig.client.resize(session_id, 132, 43)
        events = await read_until(attachment, 2)
        assert [event["payload"]["content"] for event in events] == ["interrupted", "132x43"]
        await attachment.aclose()

    async def test_a_restart_ends_the_stream_and_begins_another_epoch(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        attachment = await rig.client.attach(session_id)
        await rig.client.send(session_id, b"before")
        restarted = await rig.client.restart(session_id)
        assert (restarted.epoch, restarted.status, restarted.newest) == (2, "active", 0)
        events = await read_until(attachment)
        assert events[-1]["payload"]["reason"] == "restarted"
        await rig.client.send(session_id, b"after")
        fresh = await rig.client.attach(session_id)
        assert [event["payload"]["content"] for event in await read_until(fresh, 1)] == ["after"]
        old = await rig.client.attach(session_id, epoch=1, after=0)
        assert len(await read_until(old)) == 2
        await fresh.aclose()

    async def test_a_closed_session_can_be_restarted(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        await rig.client.close(session_id)
        assert (await rig.client.restart(session_id)).status == "active"
        await rig.client.send(session_id, b"x")

    async def test_the_newest_of_its_type_in_a_context_is_the_active_one(self, rig: Rig) -> None:
        first, second = await open_echo(rig), await open_echo(rig)
        assert (await rig.client.view(first)).status == "paused"
        assert (await rig.client.view(second)).status == "active"
        await rig.client.send(first, b"it goes on")
        assert (await rig.client.activate(first)).status == "active"
        assert (await rig.client.view(second)).status == "paused"

    async def test_a_slow_reader_holds_up_neither_the_session_nor_another_reader(self, rig: Rig) -> None:
        session_id = await open_echo(rig)
        slow = await rig.client.attach(session_id, window=2048)
        other = await (await rig.other_client()).attach(session_id)
        await rig.client.send(session_id, b"print 20000")
        assert len(await read_until(other, 20000)) == 20000
        await rig.client.send(session_id, b"print 10")
        assert len(await read_until(slow, 20010)) == 20010
        await slow.aclose()
        await other.aclose()

    async def test_a_type_that_is_not_known_is_refused(self, rig: Rig) -> None:
        assert await refused(rig.client.create(NewSession(type="no-such-type"))) == "VALIDATION_ERROR"

    async def test_a_list_is_filtered_and_goes_on_by_its_cursor(self, rig: Rig) -> None:
        made = [await open_echo(rig) for _ in range(5)]
        await rig.client.close(made[0])
        page = await rig.client.list(SessionQuery(type="echo", limit=2))
        rest = await rig.client.list(SessionQuery(type="echo", limit=9, cursor=page.next_cursor))
        assert [each.session_id for each in [*page.items, *rest.items]] == made[:0:-1]
        closed = await rig.client.list(SessionQuery(status="closed"))
        assert made[0] in [each.session_id for each in closed.items]


async def check_type(client: SessionClient, session_type: SessionType, new: NewSession) -> None:
    """Check that a session type keeps what it declares, against a kernel that has its driver.

    `new` makes a session of it. The session must print nothing but whole events, do what its capabilities say and
    refuse the rest with RESOURCE_UNAVAILABLE, and end once when it is closed.
    """
    session = await client.create(new)
    can = session_type.capabilities
    assert session.type == session_type.name
    assert session.capabilities == can
    missing = set(session_type.metadata) - set(session.metadata)
    assert not missing, f"the session does not tell its {sorted(missing)}"
    attachment = await client.attach(session.session_id)
    await _check_capability(can.send, client.send(session.session_id, b""))
    await _check_capability(can.interrupt, client.interrupt(session.session_id))
    await _check_capability(can.resize, client.resize(session.session_id, 100, 30))
    if can.restart:
        assert (await client.restart(session.session_id)).epoch == 2
        await read_until(attachment)
        attachment = await client.attach(session.session_id)
    else:
        await _check_capability(False, client.restart(session.session_id))
    await client.close(session.session_id)
    events = await read_until(attachment)
    assert [event["event"] for event in events].count("close") == 1
    assert events[-1]["event"] == "close"
    assert events[-1]["payload"]["lastSeq"] == events[-1]["seq"]
    assert (await client.view(session.session_id)).status == "closed"


async def _check_capability(allowed: bool, work: Any) -> None:
    if allowed:
        await work
    else:
        assert await refused(work) == "RESOURCE_UNAVAILABLE"
