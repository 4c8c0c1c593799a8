"""Servers on loopback that a test opens: one answers HTTP as it is told, one takes connections and says nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Answering:
    """An HTTP server whose answer can be changed; `silent` takes the request and never answers."""

    port: int = 0
    status: int = 200
    body: bytes = b'{"status": "ok", "version": "9.9"}'
    silent: bool = False
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.split(b"\r\n")[0].decode())
            if self.silent:
                await reader.read()
                return
            line = f"HTTP/1.1 {self.status} Said\r\ncontent-length: {len(self.body)}\r\nconnection: close\r\n\r\n"
            writer.write(line.encode() + self.body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def answering(**answer: object) -> AsyncIterator[Answering]:
    """Open a server on a free port of loopback."""
    told = Answering(**answer)  # type: ignore[arg-type]
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    told.port = server.sockets[0].getsockname()[1]
    async with server:
        yield told
