"""The socket that a server listens on."""

import asyncio
import socket

import pytest

from nexus.kernel.server.server import bound
from nexus.schemas.errors import ResourceUnavailable


async def test_what_is_answered_goes_out_at_once() -> None:
    """Without TCP_NODELAY an answer's body waits until its head is acknowledged, which a client is slow to do."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = bound("127.0.0.1", 0)
    async with await asyncio.start_server(serve, sock=listening):
        _, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
        assert await asyncio.wait_for(told, 30)
        writer.close()


def test_an_address_that_is_taken_is_told() -> None:
    with bound("127.0.0.1", 0) as listening, pytest.raises(ResourceUnavailable):
        bound("127.0.0.1", listening.getsockname()[1])
