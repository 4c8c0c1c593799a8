"""The connection is cut at every byte: what was received equals the log, and each input is applied once.

The short form cuts at every eighth byte; NEXUS_SOAK=1 at every one.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from nexus.kernel.kernel import Kernel
from nexus.schemas.session import NewSession
from nexus.sessions.backoff import Backoff
from nexus.sessions.client import SessionClient
from nexus.sessions.local import LocalTransport
from nexus.sessions.polling import PollingTransport
from nexus.sessions.websocket import WebSocketTransport
from tests.sessions.proxy import Proxy, at_random, never, once, proxied
from tests.sessions.servers import echo_kernel, served

QUICK = Backoff(first=0.001, most=0.05, patience=20)
SLICES = 8
SOAK = os.environ.get("NEXUS_SOAK")  # noqa: TID251 -- the tests' own switch
long = pytest.mark.skipif(not SOAK, reason="long: set NEXUS_SOAK=1")
PARTS = [0, *(pytest.param(part, marks=(pytest.mark.soak, long)) for part in range(1, SLICES))]


class Line:
    """A kernel behind a proxy, a client through it and one beside it."""

    def __init__(self, kernel: Kernel, proxy: Proxy) -> None:
        self.kernel = kernel
        self.proxy = proxy
        self.beside = SessionClient(LocalTransport(kernel.sessions))

    @asynccontextmanager
    async def through(self, way: str) -> AsyncIterator[SessionClient]:
        async with AsyncExitStack() as stack:
            base = f"127.0.0.1:{self.proxy.port}"
            if way == "websocket":
                transport = WebSocketTransport(f"ws://{base}/kernel")
            else:
                http = await stack.enter_async_context(
                    httpx.AsyncClient(base_url=f"http://{base}", trust_env=False, verify=False)
                )
                transport = PollingTransport(http)
            client = SessionClient(transport, backoff=QUICK)
            try:
                yield client
            finally:
                await client.aclose()

    async def log(self, session_id: str) -> bytes:
        return await whole(self.beside, session_id)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with echo_kernel(tmp_path) as kernel, served(kernel) as port, proxied(port) as proxy:
        yield Line(kernel, proxy)


async def whole(client: SessionClient, session_id: str) -> bytes:
    """Read a session's stream to its end."""
    attachment = await client.attach(session_id)
    lines = []
    async with asyncio.timeout(30):
        while (batch := await attachment.receive()) is not None:
            lines.append(batch.lines)
            await attachment.consumed(batch.last)
    await attachment.aclose()
    return b"".join(lines)


async def ended_session(client: SessionClient, *inputs: bytes) -> str:
    session_id = (await client.create(NewSession(type="echo"))).session_id
    for given in (*inputs, b"exit 0"):
        await client.send(session_id, given)
    return session_id


async def typed(client: SessionClient, session_id: str, pieces: list[bytes]) -> None:
    sender = client.sender(session_id)
    for piece in pieces:
        await sender.send(piece)
    await sender.aclose()


async def contents(line: Line, session_id: str) -> list[str]:
    """What the session was given, as it printed it."""
    await line.beside.close(session_id)
    events = [json.loads(each) for each in (await line.log(session_id)).splitlines()]
    return [event["payload"]["content"] for event in events if event["event"] == "data"]


async def carried(line: Line, count: Callable[[], int], work: Callable[[], object]) -> int:
    """Return how many bytes the work takes when nothing is cut."""
    before = count()
    await work()
    return count() - before


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_a_short_stream_survives_a_cut_at_every_byte(line: Line, way: str, part: int) -> None:
    session_id = await ended_session(line.beside, b"a", "ü".encode())
    log = await line.log(session_id)

    async def read() -> bytes:
        async with line.through(way) as client:
            return await whole(client, session_id)

    length = await carried(line, lambda: line.proxy.carried_down, read)
    assert length > len(log)
    for cut in range(1 + part, length + 1, SLICES):
        line.proxy.down = once(cut)
        assert await read() == log, f"cut at byte {cut} of {length}"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_input_is_applied_once_whatever_byte_of_it_is_cut(line: Line, way: str, part: int) -> None:
    pieces = [b"one", b"two"]

    async def write() -> str:
        session_id = (await line.beside.create(NewSession(type="echo"))).session_id
        async with line.through(way) as client:
            await typed(client, session_id, pieces)
        return session_id

    length = await carried(line, lambda: line.proxy.carried_up, write)
    for cut in range(1 + part, length + 1, SLICES):
        line.proxy.up = once(cut)
        assert await contents(line, await write()) == ["one", "two"], f"cut at byte {cut} of {length}"


@pytest.mark.parametrize("part", PARTS)
async def test_input_is_applied_once_when_its_answer_is_cut(line: Line, part: int) -> None:
    async def write() -> str:
        session_id = (await line.beside.create(NewSession(type="echo"))).session_id
        async with line.through("websocket") as client:
            await typed(client, session_id, [b"one", b"two"])
        return session_id

    length = await carried(line, lambda: line.proxy.carried_down, write)
    for cut in range(1 + part, length + 1, SLICES):
        line.proxy.down = once(cut)
        assert await contents(line, await write()) == ["one", "two"], f"cut at byte {cut} of {length}"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_a_long_stream_survives_cuts_at_random_while_it_grows(line: Line, way: str, seed: int) -> None:
    session_id = (await line.beside.create(NewSession(type="echo"))).session_id
    line.proxy.down = at_random(seed, 400_000)

    async def grow() -> None:
        for _ in range(20):
            await line.beside.send(session_id, b"print 1000")
            await asyncio.sleep(0)
        await line.beside.send(session_id, b"exit 0")

    growing = asyncio.create_task(grow())
    async with line.through(way) as client:
        received = await whole(client, session_id)
    await growing
    assert received == await line.log(session_id)
    assert line.proxy.connections > 3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_long_input_survives_cuts_at_random_both_ways(line: Line, way: str, seed: int) -> None:
    session_id = (await line.beside.create(NewSession(type="echo"))).session_id
    line.proxy.up, line.proxy.down = at_random(seed, 9000), at_random(seed + 100, 9000)
    pieces = [f"input {number}".encode() for number in range(150)]
    async with line.through(way) as client:
        await typed(client, session_id, pieces)
    line.proxy.up = line.proxy.down = never
    assert await contents(line, session_id) == [piece.decode() for piece in pieces]
    assert line.proxy.connections > 3


async def test_patience_ends_in_connection_lost(line: Line) -> None:
    session_id = (await line.beside.create(NewSession(type="echo"))).session_id
    client = SessionClient(
        WebSocketTransport(f"ws://127.0.0.1:{line.proxy.port}/kernel"), backoff=Backoff(0.001, 0.01, patience=0.3)
    )
    attachment = await client.attach(session_id)
    line.proxy.down = lambda: 1
    for task in list(line.proxy.tasks):
        task.cancel()
    with pytest.raises(Exception, match="connection was lost") as caught:
        await asyncio.wait_for(attachment.receive(), 10)
    entry = caught.value.entry()
    assert (entry.code, entry.details["retryable"], entry.details["exitCode"]) == ("CONNECTION_LOST", True, 8)
    assert await attachment.receive() is None
    await client.aclose()
