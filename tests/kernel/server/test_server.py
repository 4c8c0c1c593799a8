"""The server on its socket: whatever ends it, the next one at its address answers."""

import asyncio

import httpx
from starlette.responses import PlainTextResponse

from nexus.kernel.server.options import ServerOptions
from nexus.kernel.server.server import NetworkServer


async def test_a_server_that_is_cancelled_leaves_its_descriptor_to_the_next() -> None:
    descriptors = []
    async with httpx.AsyncClient(timeout=30) as client:
        for _ in range(3):
            server = NetworkServer(PlainTextResponse("here"), "127.0.0.1", 0, ServerOptions())
            descriptors.append(server.listening.fileno())
            serving = asyncio.create_task(server.serve())
            assert (await client.get(server.url, headers={"connection": "close"})).text == "here"
            serving.cancel()
            await asyncio.wait((serving,))
    # Otherwise it shows nothing: the system gives the lowest that is free.
    assert len(set(descriptors)) < 3
