"""MCP over the stdin and stdout of the command that serves it: one message a line, both ways."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage

from nexus.call import Call
from nexus.mcp.server import CommandServer
from nexus.schemas.stream import STOP_STATUS, Lines, StopReason

LONGEST_MESSAGE = 16 * 1024 * 1024
_CLEANUP_SECONDS = 2.0


class StdioServer:
    """The messages that go out. It ends at the end of stdin, and at once when it is stopped."""

    def __init__(self, call: Call, commands: CommandServer) -> None:
        self._call = call
        self._server = commands.server
        self._stopped: StopReason | None = None
        self._serving: asyncio.Task[None] | None = None
        self._incoming, self._received = anyio.create_memory_object_stream[SessionMessage | Exception](16)
        self._sent, self._outgoing = anyio.create_memory_object_stream[SessionMessage](16)

    @property
    def exit_status(self) -> int:
        """0 at the end of stdin."""
        return STOP_STATUS[self._stopped] if self._stopped else 0

    async def __aiter__(self) -> AsyncIterator[Lines]:
        self._serving = asyncio.create_task(self._serve())
        count = 0
        async for message in self._outgoing:
            count += 1
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            yield Lines(text.encode() + b"\n", count)
        if self._stopped is None:
            await self._serving

    def stop(self, reason: StopReason) -> None:
        """End at once."""
        self._stopped = reason
        if self._serving is not None:
            self._serving.cancel()
        self._sent.close()

    async def aclose(self) -> None:
        """End the commands that run."""
        if self._serving is not None and not self._serving.done():
            self._serving.cancel()
            await asyncio.wait((self._serving,), timeout=_CLEANUP_SECONDS)
        for end in (self._incoming, self._received, self._sent, self._outgoing):
            end.close()

    async def _serve(self) -> None:
        reading = asyncio.create_task(self._read())
        try:
            await self._server.run(self._received, self._sent, self._server.create_initialization_options())
        finally:
            reading.cancel()
            self._sent.close()

    async def _read(self) -> None:
        """Hand on what comes; what is no message is told to the server as the fault that it is."""
        async with self._incoming:
            held = bytearray()
            async for chunk in self._call.stdin.chunks():
                *whole, rest = (bytes(held) + chunk).split(b"\n") if held else chunk.split(b"\n")
                for line in whole:
                    if line.strip():
                        await self._incoming.send(_message(line))
                held = bytearray(rest)
                if len(held) > LONGEST_MESSAGE:
                    await self._incoming.send(ValueError(f"a message longer than {LONGEST_MESSAGE} bytes"))
                    return


def _message(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error
