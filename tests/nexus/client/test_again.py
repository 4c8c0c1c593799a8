"""Through a proxy that cuts, stalls and answers garbage, every request is done, and none twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nexus.client.again import AgainWay, asked_pause, pause_before
from nexus.client.http import to_server
from nexus.client.refusals import refusal
from nexus.client.way import Reply, Request
from nexus.schemas.errors import NexusError, OutcomeUnknown
from tests.kernel.answers import answer
from tests.kernel.server.running import Running, running

HOWS = ("refuse", "cut the answer", "garbage", "unavailable")


@asynccontextmanager
async def bad_proxy(server: Running, every: int) -> AsyncIterator[str]:
    """A proxy, one connection a request, of which every so many goes wrong, each time in another way."""
    count = 0
    host, port = server.url.removeprefix("http://").split(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        how = HOWS[(count // every) % len(HOWS)] if count % every == 0 else None
        try:
            if how == "refuse":
                return
            sent = await reader.read(65536)
            if how == "garbage":
                writer.write(b"this is no HTTP\r\n\r\n")
                return
            if how == "unavailable":
                writer.write(b"HTTP/1.1 503 x\r\nretry-after: 0\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
                return
            up_reader, up_writer = await asyncio.open_connection(host, int(port))
            up_writer.write(sent)
            reply = await up_reader.read()
            up_writer.close()
            if how != "cut the answer":
                writer.write(reply)
        finally:
            writer.close()

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    finally:
        proxy.close()


async def quick(_seconds: float) -> None:
    await asyncio.sleep(0)


async def test_everything_is_done_once_through_a_proxy_that_fails(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as server, bad_proxy(server, 3) as url:
        await server.user("anna", "member")
        token = (await server.login("anna"))["accessToken"]
        way = AgainWay(to_server(url), quick)
        common = {"authorization": f"Bearer {token}", "connection": "close", "content-type": "application/json"}
        for number in range(20):
            body = json.dumps({"name": f"p{number}"}).encode()
            headers = {**common, "idempotency-key": f"key-{number}"}
            reply = await way.send(Request("POST", "/api/projects", headers, body))
            assert reply.status == 201, reply
            assert (await way.send(Request("GET", "/api/projects?limit=1", common))).status == 200
        await way.aclose()
        made = answer(await server.owner.get("/api/projects", params={"limit": 100}))["items"]
        assert sorted(each["name"] for each in made) == sorted(f"p{number}" for number in range(20))


async def test_a_write_without_a_key_is_sent_once(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as server, bad_proxy(server, 1) as url:
        way = AgainWay(to_server(url), quick)
        with pytest.raises(OutcomeUnknown):
            await way.send(Request("POST", "/api/projects", {"connection": "close"}, b"{}"))
        await way.aclose()


def test_pauses_grow_scatter_and_end_where_the_server_says() -> None:
    assert [pause_before(number, lambda: 1.0) for number in (1, 2, 3, 10)] == [0.2, 0.4, 0.8, 5.0]
    assert pause_before(3, lambda: 0.0) == 0.0
    assert asked_pause(Reply(429, [(b"Retry-After", b"7")], b"")) == 7.0
    assert asked_pause(Reply(429, [(b"retry-after", b"Wed, 21 Oct 2015 07:28:00 GMT")], b"")) == 0.0
    assert asked_pause(Reply(429, [(b"retry-after", b"soon")], b"")) is None


@pytest.mark.parametrize(
    ("status", "code", "exit_status"),
    [
        (401, "AUTHENTICATION_REQUIRED", 3),
        (403, "PERMISSION_DENIED", 3),
        (404, "RESOURCE_NOT_FOUND", 4),
        (409, "RESOURCE_CONFLICT", 6),
        (422, "VALIDATION_ERROR", 2),
        (429, "RATE_LIMITED", 5),
        (500, "BACKEND_ERROR", 5),
        (503, "BACKEND_UNAVAILABLE", 5),
    ],
)
def test_a_status_that_says_nothing_more_is_an_error_of_its_own(status: int, code: str, exit_status: int) -> None:
    error: NexusError = refusal(Reply(status, [(b"retry-after", b"3")], b"<html>no</html>"), "https://a.example")
    entry = error.entry()
    assert (entry.code, entry.details["exitCode"]) == (code, exit_status)
    assert entry.details.get("retryAfterMs") == (3000 if status in (429, 503) else None)
