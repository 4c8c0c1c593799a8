"""The WebSocket `/kernel` and the polling routes, as any client may speak to them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from nexus.schemas import protocol
from nexus.schemas.session import NewSession
from nexus.sessions.client import SessionClient
from nexus.sessions.local import LocalTransport
from tests.sessions.servers import echo_kernel, served


class Served:
    def __init__(self, client: SessionClient, port: int) -> None:
        self.client = client
        self.port = port

    def websocket(self) -> connect:
        return connect(f"ws://127.0.0.1:{self.port}/kernel", compression=None)

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", verify=False)

    async def echo(self, *inputs: bytes) -> str:
        session_id = (await self.client.create(NewSession(type="echo"))).session_id
        for given in inputs:
            await self.client.send(session_id, given)
        return session_id


@pytest.fixture
async def kernel(tmp_path: Path) -> AsyncIterator[Served]:
    async with echo_kernel(tmp_path) as kernel, served(kernel) as port:
        yield Served(SessionClient(LocalTransport(kernel.sessions)), port)


async def ask(websocket: ClientConnection, **command) -> dict:
    await websocket.send(json.dumps(command))
    return json.loads(await websocket.recv())


def command_types() -> list[str]:
    union = get_args(protocol.KernelCommand)[0]
    return [model.model_fields["type"].default for model in get_args(union)]


MORE = {
    "session.create": {"session": {"type": "echo"}},
    "session.input": {"input": {"client": "c", "number": 1, "data": "x"}},
    "session.resize": {"size": {"columns": 80, "rows": 24}},
    "session.detach": {"attachment": 77},
}


@pytest.mark.parametrize("kind", [kind for kind in command_types() if kind != "session.consumed"])
async def test_every_command_is_answered_by_its_id(kernel, kind):
    session_id = await kernel.echo()
    body = {"id": "c1", "type": kind, **MORE.get(kind, {})}
    if kind not in ("session.create", "session.list", "session.detach", "ping"):
        body["sessionId"] = session_id
    async with kernel.websocket() as websocket:
        answer = await ask(websocket, **body)
        assert answer["id"] == "c1"
        assert answer["type"] != "refused", answer
        assert protocol.events().validate_python(answer).type == answer["type"]


async def test_what_is_no_command_is_refused_and_the_connection_stays(kernel):
    async with kernel.websocket() as websocket:
        assert (await ask(websocket, type="no.such", id="1"))["error"]["type"] == "validation"
        assert (await ask(websocket, type="ping"))["id"] == "-"
        wrong = await ask(websocket, type="session.view", id="2", sessionId="s", more=1)
        assert (wrong["id"], wrong["type"]) == ("2", "refused")
        await websocket.send("{")
        assert json.loads(await websocket.recv())["type"] == "refused"
        await websocket.send(b"\xff\xfe")
        assert json.loads(await websocket.recv())["type"] == "refused"
        assert (await ask(websocket, type="ping", id="3"))["type"] == "pong"


async def test_lines_come_as_they_are_stored_behind_a_line_that_says_their_place(kernel):
    session_id = await kernel.echo(b"print 10")
    async with kernel.websocket() as websocket:
        attached = await ask(websocket, type="session.attach", id="1", sessionId=session_id, after=4)
        assert (attached["type"], attached["after"], attached["newest"]) == ("session.attached", 4, 10)
        message = await websocket.recv()
        head, _, lines = message.partition(b"\n")
        assert json.loads(head) == {
            "type": "session.lines",
            "attachment": attached["attachment"],
            "epoch": 1,
            "first": 5,
            "last": 10,
            "end": False,
        }
        assert [json.loads(line)["seq"] for line in lines.splitlines()] == [5, 6, 7, 8, 9, 10]


async def test_a_detached_reader_hears_no_more(kernel):
    session_id = await kernel.echo()
    async with kernel.websocket() as websocket:
        attached = await ask(websocket, type="session.attach", id="1", sessionId=session_id)
        assert (await kernel.client.view(session_id)).readers == 1
        await ask(websocket, type="session.detach", id="2", attachment=attached["attachment"])
        assert (await kernel.client.view(session_id)).readers == 0
        await kernel.client.send(session_id, b"x")
        assert (await ask(websocket, type="ping", id="3"))["type"] == "pong"


async def test_a_heartbeat_tells_the_newest_event(kernel, monkeypatch):
    monkeypatch.setattr("nexus.kernel.sessions.attachment.HEARTBEAT_SECONDS", 0.05)
    session_id = await kernel.echo(b"x")
    async with kernel.websocket() as websocket:
        attached = await ask(websocket, type="session.attach", id="1", sessionId=session_id, after=1)
        told = json.loads(await websocket.recv())
        assert told == {"type": "session.heartbeat", "attachment": attached["attachment"], "newest": 1}


async def test_two_readers_of_one_connection_do_not_hold_each_other_up(kernel):
    flood, calm = await kernel.echo(b"print 50000"), await kernel.echo()
    async with kernel.websocket() as websocket:
        await ask(websocket, type="session.attach", id="1", sessionId=flood, window=4096)
        await websocket.recv()
        attached = await ask(websocket, type="session.attach", id="2", sessionId=calm)
        await kernel.client.send(calm, b"heard")
        message = await websocket.recv()
        assert json.loads(message.partition(b"\n")[0])["attachment"] == attached["attachment"]
        assert b"heard" in message


async def test_events_are_polled_as_one_object(kernel):
    session_id = await kernel.echo(b"print 5", b"exit 0")
    async with kernel.http() as http:
        first = (await http.get(f"/api/sessions/{session_id}/events", params={"after": 0, "limit": 2})).json()
        assert (first["after"], first["last"], first["newest"], first["end"]) == (0, 2, 6, False)
        assert [event["seq"] for event in first["events"]] == [1, 2]
        rest = (await http.get(f"/api/sessions/{session_id}/events", params={"after": 2, "epoch": 1})).json()
        assert (len(rest["events"]), rest["end"]) == (4, True)
        nothing = (await http.get(f"/api/sessions/{session_id}/events", params={"after": 6, "wait": 5})).json()
        assert (nothing["events"], nothing["end"]) == ([], True)


async def test_a_poll_waits_for_what_comes(kernel):
    import asyncio

    session_id = await kernel.echo()
    async with kernel.http() as http:
        polling = asyncio.create_task(http.get(f"/api/sessions/{session_id}/events", params={"wait": 10}))
        while not (await kernel.client.view(session_id)).readers:  # noqa: ASYNC110 -- its coming is not announced
            await asyncio.sleep(0.005)
        await kernel.client.send(session_id, b"x")
        assert [event["seq"] for event in (await polling).json()["events"]] == [1]


async def test_the_terminals_own_routes_are_the_same(kernel):
    session_id = await kernel.echo(b"print 5")
    async with kernel.http() as http:
        output = (await http.get(f"/api/terminal/sessions/{session_id}/output", params={"since": 3})).json()
        assert [event["seq"] for event in output["events"]] == [4, 5]
        resized = await http.post(f"/api/terminal/sessions/{session_id}/resize", json={"columns": 90, "rows": 20})
        assert resized.json()["newest"] == 6


@pytest.mark.parametrize("query", ["after=-1", "epoch=0", "limit=0", "wait=61", "no=1", "after=x"])
async def test_a_query_that_cannot_be_is_refused(kernel, query):
    session_id = await kernel.echo()
    async with kernel.http() as http:
        answer = await http.get(f"/api/sessions/{session_id}/events?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
