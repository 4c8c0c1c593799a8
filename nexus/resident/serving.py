"""`nexus serve`: the kernel of this process on a network, its access log on stderr, until the command is ended."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from nexus.call import Call
from nexus.kernel.accounts.signing import new_setup_token
from nexus.kernel.debug import memory_bytes
from nexus.kernel.kernel import Kernel
from nexus.kernel.server.face import NetworkFace
from nexus.kernel.server.options import ServerOptions
from nexus.kernel.server.server import NetworkServer
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store.store import DatabaseAddress
from nexus.output.log import log_line
from nexus.output.render import json_line
from nexus.schemas.envelope import new_request_id, success
from nexus.schemas.errors import ReaderGone, ValidationError
from nexus.schemas.front import ServeOptions
from nexus.schemas.model import rfc3339
from nexus.schemas.stream import STOP_STATUS, Lines, StopReason

MOST_LOG_LINES = 10_000
"""So many lines of the access log wait for a slow stderr; further ones are dropped, and counted."""
END_SECONDS = 2.5


def settings_of(options: ServeOptions) -> KernelSettings:
    """Return what the kernel is opened with."""
    address = None
    if options.database_url is not None:
        address = DatabaseAddress(options.database_url, options.database_environment)
    return KernelSettings(options.secret, address, options.vault_environment)


class Serving:
    """Serves until it is stopped. Its one line is an envelope that says where; the set-up token goes to stderr."""

    def __init__(self, call: Call, kernel: Kernel, options: ServeOptions) -> None:
        self._kernel = kernel
        self._log = AccessLog(call)
        self._call = call
        self._stopped: StopReason | None = None
        bounds = ServerOptions(
            origins=frozenset(options.origins),
            proxies=options.proxies,
            minute_rate=options.requests_per_minute,
            open_metrics=options.open_metrics,
        )
        self._face = NetworkFace(kernel.app.app, kernel.accounts.access, bounds, self._log.tell, self._state)
        self._server = NetworkServer(self._face, options.host, options.port, bounds, _tls(options))
        self._serving: asyncio.Task[None] | None = None
        kernel.accounts.doors.open = options.registration_open

    @property
    def exit_status(self) -> int:
        """What the reason to stop gives; 0 when the kernel itself was asked to stop."""
        return STOP_STATUS[self._stopped] if self._stopped else 0

    async def __aiter__(self) -> AsyncIterator[Lines]:
        setup = await self._kernel.accounts.wants_setup()
        request_id = new_request_id()
        if setup:
            await self._offer_setup(request_id)
        self._serving = asyncio.create_task(self._server.serve())
        told = {"url": self._server.url, "setup": setup}
        envelope = success(told, request_id, f"Serving at {self._server.url}.")
        yield Lines(json_line(envelope), 1)
        writing = asyncio.create_task(self._log.write())
        try:
            await self._serving
        finally:
            await self._log.close()
            await asyncio.wait((writing,), timeout=1)
            writing.cancel()

    async def _offer_setup(self, request_id: str) -> None:
        token = new_setup_token()
        self._kernel.accounts.doors.setup_token = token
        told = (
            "There is no account yet. Whoever has this set-up token opens the first, an admin's: "
            f"NEXUS_SETUP_TOKEN={token} nexus settings auth register --server {self._server.url} --username NAME"
        )
        await self._call.stderr.write(log_line("warning", told, request_id))

    def _state(self) -> tuple[int, dict[str, int]]:
        live = self._kernel.live()
        return memory_bytes(), {"sessions": live.sessions, "processes": live.processes}

    def stop(self, reason: StopReason) -> None:
        """Take no more, and end what is under way within a second."""
        self._stopped = reason
        self._server.stop()

    async def aclose(self) -> None:
        """End."""
        self._kernel.accounts.doors.setup_token = None
        if self._serving is not None and not self._serving.done():
            self._server.stop()
            await asyncio.wait((self._serving,), timeout=END_SECONDS)
            self._serving.cancel()


class AccessLog:
    """One JSON object a line on stderr; nothing that was sent to us can begin a line of its own."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_LOG_LINES)
        self._dropped = 0

    def tell(self, facts: dict[str, Any]) -> None:
        """Take one line; never blocks."""
        record = {"timestamp": rfc3339(datetime.now(UTC)), "level": "info", "message": "request", **facts}
        try:
            self._waiting.put_nowait(json.dumps(record).encode() + b"\n")
        except asyncio.QueueFull:
            self._dropped += 1

    async def write(self) -> None:
        """Write what comes, many lines at once where they wait."""
        ended = False
        while not ended:
            lines = [await self._waiting.get()]
            while not self._waiting.empty():
                lines.append(self._waiting.get_nowait())
            ended = None in lines
            if self._dropped:
                told = f"{self._dropped} lines of the access log were dropped."
                lines.append(log_line("warning", told, new_request_id()))
                self._dropped = 0
            try:
                await self._call.stderr.write(b"".join(line for line in lines if line is not None))
            except ReaderGone:
                # The requests go on without a log; that nobody reads it is no reason to refuse them.
                return

    async def close(self) -> None:
        """Let `write` end behind what waits."""
        try:
            self._waiting.put_nowait(None)
        except asyncio.QueueFull:
            return


def _tls(options: ServeOptions) -> Any:
    if (options.tls_certificate is None) != (options.tls_key is None):
        raise ValidationError.because("TLS wants both --tls-cert and --tls-key.", field="tls_cert")
    if options.tls_certificate is None or options.tls_key is None:
        return None
    return options.tls_certificate, options.tls_key
