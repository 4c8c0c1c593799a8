"""Starts a server: its offer, its token and a context of its own, taken away again at its end."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.call import Call
from nexus.context.store import ContextFiles, write_whole
from nexus.dispatch.runtime import Runtime
from nexus.mcp.tools import Offer
from nexus.schemas.command import GlobalFlags
from nexus.schemas.errors import ExtraMissing, NotFound
from nexus.schemas.front import McpOptions
from nexus.schemas.stream import Lines, OutputStream, StopReason

if TYPE_CHECKING:
    from nexus.mcp.server import CommandServer

TOKEN_VARIABLE = "NEXUS_MCP_TOKEN"  # noqa: S105 -- a variable's name
_TOKEN_FILE = "mcp-token"  # noqa: S105 -- a file's name


async def serve(call: Call, flags: GlobalFlags, runtime: Runtime, options: McpOptions) -> OutputStream:
    """Return what the server prints. Raises `ExtraMissing`, `NotFound` for a namespace that there is not."""
    offer = Offer(runtime.index, read_only=options.read_only, namespaces=options.namespaces)
    own = f"mcp-{secrets.token_hex(4)}"
    try:
        # In a thread: other commands go on while some hundred modules are read.
        await asyncio.to_thread(import_module, "nexus.mcp.http" if options.http else "nexus.mcp.stdio")
    except ImportError as error:
        raise ExtraMissing(feature="The MCP server", extra="mcp", missing=error.name) from error
    from nexus.mcp.server import CommandServer

    commands = CommandServer(call, flags, runtime, offer, flags.context or own)
    stream = _over_http(call, runtime, commands, options) if options.http else _over_stdio(call, commands)
    return _WithContext(stream, ContextFiles(runtime.contexts_folder, own))


def _over_stdio(call: Call, commands: "CommandServer") -> OutputStream:
    from nexus.mcp.stdio import StdioServer

    return StdioServer(call, commands)


def _over_http(call: Call, runtime: Runtime, commands: "CommandServer", options: McpOptions) -> OutputStream:
    from nexus.mcp.http import HttpServer

    given = call.environment.get(TOKEN_VARIABLE)
    file = runtime.folders.state / _TOKEN_FILE
    told = {"tokenFrom": TOKEN_VARIABLE} if given else {"tokenFile": str(file)}
    return HttpServer(commands, host=options.host, port=options.port, token=given or token_in(file), told=told)


def token_in(file: Path) -> str:
    """Return the token that the file holds, made on first use; only its owner can read it."""
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        write_whole(draft, secrets.token_urlsafe(32).encode() + b"\n")
        try:
            # Of two servers that begin at once the first one's token holds for both.
            with suppress(FileExistsError):
                os.link(draft, file)
        finally:
            draft.unlink()
        return file.read_text(encoding="ascii").strip()


@dataclass
class _WithContext:
    """A server's stream, and the named context of its own that goes with it."""

    stream: OutputStream
    contexts: ContextFiles

    @property
    def exit_status(self) -> int:
        """The stream's."""
        return self.stream.exit_status

    async def __aiter__(self) -> AsyncIterator[Lines]:
        async for lines in self.stream:
            yield lines

    def stop(self, reason: StopReason) -> None:
        """Stop the stream."""
        self.stream.stop(reason)

    async def aclose(self) -> None:
        """Close the stream, and take the context away if anything was selected in it."""
        await self.stream.aclose()
        try:
            self.contexts.remove(self.contexts.name)
        except NotFound:
            return
