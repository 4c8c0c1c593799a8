"""A monitor tells what happens to sockets that the test opens and closes, and to servers that it starts and ends."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.network.changes import by_id, changes
from nexus.kernel.network.link import Link
from nexus.schemas.errors import NotFound, ValidationError
from nexus.schemas.network import NetworkEvent
from nexus.schemas.session import NewSession
from nexus.sessions.client import Attachment, SessionClient
from nexus.sessions.local import LocalTransport
from tests.kernel.answers import answer
from tests.kernel.network.answering import answering

SECONDS = 15
Event = dict[str, Any]


class Told:
    """The events of a session, one after the other."""

    def __init__(self, client: SessionClient, session_id: str, attachment: Attachment) -> None:
        self.client = client
        self.session_id = session_id
        self.attachment = attachment
        self.waiting: list[Event] = []
        self.numbers: list[int] = []

    async def next(self) -> Event:
        """Return the next event. The test fails when none comes, or a number is missing."""
        while not self.waiting:
            batch = await asyncio.wait_for(self.attachment.receive(), SECONDS)
            assert batch is not None, "the stream is over"
            self.waiting += [json.loads(line) for line in batch.lines.splitlines()]
        event = self.waiting.pop(0)
        self.numbers.append(event["seq"])
        assert self.numbers == list(range(1, len(self.numbers) + 1))
        return event

    async def until(self, wanted: Callable[[Event], bool]) -> Event:
        """Return the payload of the next data event that is wanted."""
        while True:
            event = await self.next()
            assert event["event"] in ("data", "status"), event
            if event["event"] == "data":
                NetworkEvent.model_validate(event["payload"])
                if wanted(event["payload"]):
                    return dict(event["payload"])

    async def end(self) -> tuple[list[Event], Event]:
        """Return the events up to the close, and its payload."""
        events = []
        while True:
            event = await self.next()
            if event["event"] == "close":
                return events, event["payload"]
            events.append(event)


def client_of(kernel: Kernel) -> SessionClient:
    return SessionClient(LocalTransport(kernel.sessions))


@asynccontextmanager
async def monitoring(kernel: Kernel, **options: Any) -> AsyncIterator[Told]:
    """Open a monitor of this process's connections that looks ten times a second."""
    client = client_of(kernel)
    asked = {"pid": os.getpid(), "intervalMs": 100, **options}
    new = NewSession(type="network-stream", options={name: value for name, value in asked.items() if value is not None})
    session_id = (await client.create(new)).session_id
    attachment = await client.attach(session_id, after=0)
    try:
        yield Told(client, session_id, attachment)
    finally:
        await attachment.aclose()
        await client.close(session_id)


def at(change: str, port: int, side: str = "local") -> Callable[[Event], bool]:
    def wanted(payload: Event) -> bool:
        end = payload["connection"][side]
        return payload["change"] == change and end is not None and end["port"] == port

    return wanted


async def test_what_opens_changes_and_closes_is_told_in_this_order(kernel: Kernel) -> None:
    async with monitoring(kernel) as told:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            opened = await told.until(at("opened", port))
            assert (opened["connection"]["state"], opened["before"]) == ("LISTEN", None)
            client = socket.create_connection(listener.getsockname())
            with closing(listener.accept()[0]):
                own = client.getsockname()[1]
                assert (await told.until(at("opened", own)))["connection"]["state"] == "ESTABLISHED"
                client.shutdown(socket.SHUT_WR)
                changed = await told.until(at("changed", own))
                assert changed["before"]["state"] == "ESTABLISHED"
                assert (changed["connection"]["state"], changed["connection"]["status"]) == ("FIN_WAIT2", "exited")
                client.close()
                await told.until(at("closed", own))
        await told.until(at("closed", port))


async def test_what_is_there_is_told_first_when_it_is_asked_for(kernel: Kernel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with monitoring(kernel, initial=True) as told:
            await told.until(at("present", port))
            listener.close()
            await told.until(at("closed", port))


async def test_a_monitor_that_does_not_follow_ends_behind_what_is_there(kernel: Kernel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with monitoring(kernel, follow=False) as told:
            events, close = await told.end()
        port = listener.getsockname()[1]
    assert [event for event in events if at("present", port)(event["payload"])]
    assert {event["payload"]["change"] for event in events} == {"present"}
    assert (close["reason"], close["exitCode"], close["lastSeq"]) == ("completed", 0, len(events) + 1)


async def test_the_monitor_of_one_connection_ends_with_it(kernel: Kernel, api: httpx.AsyncClient) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    query = {"pid": os.getpid(), "filter": f":{listener.getsockname()[1]}"}
    [found] = answer(await api.get("/api/network/connections", params=query))["items"]
    async with monitoring(kernel, id=found["id"]) as told:
        listener.close()
        [event], close = await told.end()
        assert (event["payload"]["change"], event["payload"]["connection"]["id"]) == ("closed", found["id"])
        assert close["reason"] == "completed"


async def test_the_monitor_of_a_process_ends_with_it(kernel: Kernel) -> None:
    program = "import socket; s=socket.create_server(('127.0.0.1',0)); print('there',flush=True); input()"
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, **pipes)
    assert child.stdout is not None
    await asyncio.wait_for(child.stdout.readline(), SECONDS)
    async with monitoring(kernel, pid=child.pid, scope="kernel") as told:
        await child.communicate(b"\n")
        events, close = await told.end()
    assert [event["payload"]["change"] for event in events] == ["closed"]
    assert close["reason"] == "completed"


async def test_a_server_that_goes_away_is_told_of(kernel: Kernel, api: httpx.AsyncClient) -> None:
    async with answering() as server:
        added = answer(await api.post("/api/network/servers", json={"name": "Build", "url": server.url}), 201)
        async with monitoring(kernel, pid=None, type="server") as told:

            def of_server(payload: Event) -> bool:
                return bool(payload["connection"]["serverId"] == added["id"] and payload["change"] == "changed")

            server.status = 500
            degraded = await told.until(of_server)
            assert (degraded["before"]["state"], degraded["connection"]["state"]) == ("online", "degraded")
            server.status = 200
            assert (await told.until(of_server))["connection"]["status"] == "running"


async def test_a_server_is_starting_until_the_next_kernel_has_asked_it(data_folder: Path) -> None:
    async with answering() as server:
        kernel = await Kernel.open(data_folder, OneShotHost())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
            answer(await api.post("/api/network/servers", json={"name": "Build", "url": server.url}), 201)
        options = {"type": "server", "intervalMs": 100}
        new = NewSession(type="network-stream", options=options)
        session_id = (await client_of(kernel).create(new)).session_id
        await kernel.close()
        async with taken_up(data_folder, session_id) as told:
            changed = await told.until(lambda payload: bool(payload["change"] == "changed"))
            assert (changed["before"]["status"], changed["connection"]["status"]) == ("starting", "running")


@asynccontextmanager
async def taken_up(data_folder: Path, session_id: str) -> AsyncIterator[Told]:
    """Open the next kernel, and read the session there from its beginning."""
    kernel = await Kernel.open(data_folder, OneShotHost())
    client = client_of(kernel)
    attachment = await client.attach(session_id, epoch=1, after=0)
    try:
        yield Told(client, session_id, attachment)
    finally:
        await attachment.aclose()
        await client.close(session_id)
        await kernel.close()


async def test_a_monitor_goes_on_in_the_next_kernel(data_folder: Path) -> None:
    kernel = await Kernel.open(data_folder, OneShotHost())
    client = client_of(kernel)
    new = NewSession(type="network-stream", options={"pid": os.getpid(), "intervalMs": 100})
    session_id = (await client.create(new)).session_id
    await kernel.close()
    async with taken_up(data_folder, session_id) as told:
        first = await told.next()
        assert (first["event"], first["payload"]["status"]) == ("status", "connected")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            await told.until(at("opened", listener.getsockname()[1]))


async def test_what_there_is_not_or_cannot_be_makes_no_session(kernel: Kernel) -> None:
    client = client_of(kernel)
    for options, error in (
        ({"id": "con_none"}, NotFound),
        ({"pid": 999_999_999, "scope": "kernel"}, NotFound),
        ({"element": "interface:none"}, NotFound),
        ({"intervalMs": 1}, ValidationError),
        ({"colour": "red"}, ValidationError),
    ):
        with pytest.raises(error):
            await client.create(NewSession(type="network-stream", options=options))
    assert (await client.list()).items == []


def link(identity: str, state: str = "ESTABLISHED", pid: int | None = 1, latency: float | None = None) -> Link:
    return Link(identity, "tcp", "running", state, ("127.0.0.1", 1), pid=pid, latency_ms=latency)


def test_only_what_matters_is_a_change() -> None:
    before = by_id([link("same", latency=1.0), link("state"), link("owner"), link("gone")])
    after = by_id([link("same", latency=2.0), link("state", "CLOSE_WAIT"), link("owner", pid=2), link("new")])
    told = [(event.change, event.connection.id) for event in changes(before, after)]
    assert told == [("closed", "gone"), ("changed", "state"), ("changed", "owner"), ("opened", "new")]
    assert list(changes(after, after)) == []


def test_many_changes_are_told_without_loss() -> None:
    after = by_id(link(str(number)) for number in range(5000))
    assert len(list(changes({}, after))) == 5000


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not let a program name itself so")
async def test_a_process_whose_name_is_no_text_is_told_all_the_same(api: httpx.AsyncClient) -> None:
    program = (
        "import socket; s=socket.create_server(('127.0.0.1',0));"
        "open('/proc/self/comm','wb').write(b'caf\\xc3'); print('there',flush=True); input()"
    )
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, **pipes)
    assert child.stdout is not None
    await asyncio.wait_for(child.stdout.readline(), SECONDS)
    try:
        [found] = answer(await api.get("/api/network/connections", params={"pid": child.pid}))["items"]
        assert found["process"] == "caf\ufffd"
    finally:
        await child.communicate(b"\n")
