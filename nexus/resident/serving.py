"""`nexus serve`: the kernel of this process on a network, its access log on stderr, until the command is ended."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from nexus.call import Call
from nexus.kernel.accounts.signing import new_setup_token
from nexus.kernel.debug import memory_bytes
from nexus.kernel.kernel import Kernel
from nexus.kernel.server.access_log import AccessLog, LogLines
from nexus.kernel.server.assignment import Assignment
from nexus.kernel.server.face import NetworkFace
from nexus.kernel.server.options import ServerOptions
from nexus.kernel.server.server import NetworkServer
from nexus.kernel.server.shared import SharedMemory, SharedRateLimit
from nexus.kernel.server.workers import Workers
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store.store import DatabaseAddress
from nexus.output.log import log_line
from nexus.output.render import json_line
from nexus.resident.listener import Listener
from nexus.schemas.envelope import new_request_id, success
from nexus.schemas.errors import ResourceUnavailable, ValidationError
from nexus.schemas.front import ServeOptions
from nexus.schemas.stream import STOP_STATUS, Lines, StopReason

END_SECONDS = 2.5


def settings_of(options: ServeOptions) -> KernelSettings:
    """Return what the kernel is opened with."""
    address = None
    if options.database_url is not None:
        address = DatabaseAddress(options.database_url, options.database_environment)
    return KernelSettings(options.secret, address, options.vault_environment)


class Serving:
    """Serves until it is stopped. Its one line is an envelope that says where; the set-up token goes to stderr."""

    def __init__(self, call: Call, kernel: Kernel, options: ServeOptions, runtime: Path | None) -> None:
        """`runtime` is a folder for sockets that nobody else can open, None where there is none."""
        self._kernel = kernel
        self._log = AccessLog(call.stderr.write)
        self._lines = LogLines(self._log)
        self._call = call
        self._stopped: StopReason | None = None
        self._count = options.workers - 1
        self._memory = SharedMemory.make() if self._count else None
        self._bounds = ServerOptions(
            origins=frozenset(options.origins),
            proxies=options.proxies,
            minute_rate=options.requests_per_minute,
            open_metrics=options.open_metrics,
        )
        access = kernel.accounts.access
        rate = SharedRateLimit(options.requests_per_minute, self._memory) if self._memory else None
        self._face = NetworkFace(kernel.app.app, access, self._bounds, self._log.tell, self._state, rate)
        self._tls = _tls(options)
        self._server = NetworkServer(
            self._face, options.host, options.port, self._bounds, self._tls, shared=bool(self._count)
        )
        self._private = Listener(runtime / f"{os.getpid()}w.sock") if runtime is not None else None
        self._workers: Workers | None = None
        self._serving: asyncio.Task[None] | None = None
        kernel.accounts.doors.open = options.registration_open

    async def start(self) -> None:
        """Start what serves beside this process. Raises `ResourceUnavailable`."""
        if self._memory is None:
            return
        if self._private is None:
            raise ResourceUnavailable.because("Workers want a folder for sockets.", hint="nexus serve --workers 1")
        private = self._private.bind()
        listening = os.dup(self._server.listening.fileno())
        self._workers = Workers(
            self._count, self._assignment(listening, self._memory), self._memory, private, self._face, self._log
        )
        self._kernel.accounts.access.shared = self._memory
        self._kernel.debug.elsewhere = self._workers.answered
        # Where they do not start, this is closed.
        await self._workers.start()

    def _assignment(self, listening: int, memory: SharedMemory) -> Assignment:
        kernel, settings = self._kernel, self._kernel.settings
        database = settings.database
        return Assignment(
            listening=listening,
            memory=memory.descriptor,
            socket=str(self._private.path) if self._private else "",
            data_folder=kernel.data_folder,
            projects=kernel.projects,
            options=self._bounds,
            tls=self._tls,
            secret=kernel.secret,
            database_url=database.url if database else None,
            database_environment=dict(database.environment) if database else {},
        )

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
        with self._lines.installed():
            try:
                await self._serving
            finally:
                await self._end_workers()
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
        self._lines.ending = True
        self._server.stop()
        self._face.end()
        if self._workers is not None:
            self._workers.stop()

    async def aclose(self) -> None:
        """End."""
        self._kernel.accounts.doors.setup_token = None
        if self._serving is not None and not self._serving.done():
            self._server.stop()
            await asyncio.wait((self._serving,), timeout=END_SECONDS)
            self._serving.cancel()
        await self._end_workers()

    async def _end_workers(self) -> None:
        workers, self._workers = self._workers, None
        if workers is not None:
            # The kernel may go on without: a resident's does.
            self._kernel.debug.elsewhere = None
            self._kernel.accounts.access.shared = None
            await workers.close()
        if self._private is not None:
            self._private.remove()


def _tls(options: ServeOptions) -> tuple[Path, Path] | None:
    if (options.tls_certificate is None) != (options.tls_key is None):
        raise ValidationError.because("TLS wants both --tls-cert and --tls-key.", field="tls_cert")
    if options.tls_certificate is None or options.tls_key is None:
        return None
    return options.tls_certificate, options.tls_key
