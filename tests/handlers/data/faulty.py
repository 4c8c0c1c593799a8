"""An HTTP proxy that misbehaves: every so many requests it fails, stalls, cuts, or answers garbage."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

Fault = Literal["drop", "refuse", "stall", "garbage", "page", "cut", "long", "short", "odd", "empty"]
FAULTS: tuple[Fault, ...] = ("drop", "refuse", "stall", "garbage", "page", "cut")
LIES: tuple[Fault, ...] = ("long", "short", "odd", "empty")
"""Answers that are HTTP and no answers: a length that is not the body's, JSON that is none, nothing at all."""


class FaultyProxy:
    """One request a connection. Every `every`-th request meets the fault, before it is passed on or behind that."""

    def __init__(self, target: int, fault: Fault, every: int = 3) -> None:
        self.port = 0
        self.requests = 0
        self.faults = 0
        self._target = target
        self._fault = fault
        self._every = every
        self._sides = itertools.cycle((True, False))
        self._random = random.Random(7)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.transport.abort() if self._fault == "drop" else writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        faulty = self.requests % self._every == 0
        if faulty:
            self.faults += 1
            # Half of the faults come before the kernel hears of the request, half when it has done its work.
            if next(self._sides):
                await self._misbehave(writer, b"")
                return
        answer = await self._passed_on(head, reader)
        if faulty:
            await self._misbehave(writer, answer)
            return
        writer.write(answer)
        await writer.drain()

    async def _passed_on(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        lines = head.split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith(b"connection:")]
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            up_writer.write(b"\r\n".join([*kept[:-2], b"connection: close", b"", b""]))
            while length:
                body = await reader.read(min(length, 65536))
                if not body:
                    raise asyncio.IncompleteReadError(b"", length)
                length -= len(body)
                up_writer.write(body)
                await up_writer.drain()
            return await up_reader.read()
        finally:
            up_writer.close()

    async def _misbehave(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        if self._fault == "refuse":
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbad")
        elif self._fault == "garbage":
            writer.write(self._random.randbytes(3000))
        elif self._fault == "page":
            page = b"<html>Please sign in to the hotel's network.</html>"
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            writer.write(head % len(page) + page)
        elif self._fault in LIES:
            body = b'{"items": [{"id": 7}, ' if self._fault == "odd" else b'{"items":[]}'
            length = {"long": len(body) + 100, "short": len(body) - 2, "empty": 0}.get(self._fault, len(body))
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % length
            writer.write(head + (body if length else b""))
        elif self._fault == "cut":
            writer.write(answer[: len(answer) // 2])
        elif self._fault == "stall":
            await asyncio.sleep(3600)
        await writer.drain()


@asynccontextmanager
async def faulty(target: int, fault: Fault, every: int = 3) -> AsyncIterator[FaultyProxy]:
    """Put such a proxy before a port."""
    proxy = FaultyProxy(target, fault, every)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await proxy.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
