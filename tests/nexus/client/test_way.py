"""Ways to a kernel's API: one calls an app of this process, one goes over HTTP; what they answer is the same."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from nexus.client.http import OverWay, client_of, is_broken, to_server, told
from nexus.client.way import AppWay, Request, Way
from nexus.schemas.errors import BackendError, BackendUnavailable, NexusError, OutcomeUnknown, TimeoutExceeded

REQUESTS = (
    Request("GET", "/a/b", {"x-request-id": "one"}),
    Request("GET", "/caf%C3%A9/a%2Fb?name=a+b&name=%C3%A9", {}),
    Request("POST", "/a", {"content-type": "application/json", "idempotency-key": "k"}, b'{"a":1}'),
    Request("DELETE", "/fails", {}),
)


async def echo(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Answer in two pieces with what was asked."""
    if scope["type"] != "http":
        return
    message = await receive()
    mine = {"x-request-id", "content-type", "idempotency-key"}
    told_back = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "headers": sorted([name.decode(), value.decode()] for name, value in scope["headers"] if name.decode() in mine),
        "body": message["body"].decode(),
    }
    status = 404 if scope["path"] == "/fails" else 200
    headers = [(b"content-type", b"application/json"), (b"x-request-id", b"one")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    whole = json.dumps(told_back).encode()
    await send({"type": "http.response.body", "body": whole[:5], "more_body": True})
    await send({"type": "http.response.body", "body": whole[5:]})


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(echo, port=0, lifespan="off", log_level="error"))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(30):
        while not server.started:  # noqa: ASYNC110 -- uvicorn tells in no other way
            await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


async def test_a_call_in_process_is_answered_as_a_request_over_http() -> None:
    async with served() as url:
        over_http, in_process = to_server(url), AppWay(echo)
        for request in REQUESTS:
            here, there = await in_process.send(request), await over_http.send(request)
            assert (here.status, here.body) == (there.status, there.body)
            assert (b"x-request-id", b"one") in here.headers
            assert (b"x-request-id", b"one") in there.headers
        await over_http.aclose()


async def test_httpx_speaks_over_a_wire() -> None:
    async with client_of("http://kernel.local", OverWay(AppWay(echo))) as client:
        found = await client.post("/a", params={"q": "a b"}, json={"a": 1})
        assert found.json()["query"] == "q=a+b"
        assert json.loads(found.json()["body"]) == {"a": 1}
        async with client.stream("GET", "/a") as response:
            assert b"".join([chunk async for chunk in response.aiter_raw()]).startswith(b"{")


async def test_an_app_in_process_hears_of_no_client_that_leaves_before_it_has_answered() -> None:
    heard: list[str] = []

    async def patient(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        leaving = asyncio.create_task(receive())
        assert not (await asyncio.wait((leaving,), timeout=0))[0]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
        heard.append((await leaving)["type"])

    assert (await AppWay(patient).send(REQUESTS[0])).body == b"done"
    assert heard == ["http.disconnect"]


async def test_nobody_there_is_told_as_unavailable() -> None:
    way: Way = to_server("http://127.0.0.1:9")
    with pytest.raises(BackendUnavailable) as refused:
        await way.send(REQUESTS[0])
    assert is_broken(refused.value)
    await way.aclose()


EXCEPTIONS = [
    each
    for _, each in inspect.getmembers(httpx, inspect.isclass)
    if issubclass(each, httpx.HTTPError) and each is not httpx.HTTPStatusError
]


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_whatever_httpx_raises_is_told_as_an_error_of_ours(kind: type[httpx.HTTPError]) -> None:
    error = kind("it broke")
    for method in ("GET", "POST"):
        found: NexusError = told(error, method, "http://there")
        assert type(found) in (BackendUnavailable, BackendError, OutcomeUnknown, TimeoutExceeded)
        assert str(found)
    # A write that reached nobody was not done.
    if issubclass(kind, httpx.ConnectError | httpx.ConnectTimeout):
        assert type(told(error, "POST", "http://there")) is BackendUnavailable
