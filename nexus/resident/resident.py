"""The resident: it listens, answers launchers, leaves when idle, and hands over to a newer one of itself."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nexus import __version__
from nexus.call import Call
from nexus.launcher import frames
from nexus.launcher.frames import frame
from nexus.launcher.spawn import bound_log
from nexus.places import Places
from nexus.resident.connection import Connection, Draining, Refused
from nexus.resident.folders import Folders
from nexus.resident.host import ResidentHost
from nexus.resident.installation import Installation
from nexus.resident.listener import BACKLOG, Listener
from nexus.resident.local import LocalKernel
from nexus.resident.owner import OwnerLock
from nexus.resident.request import Request
from nexus.resident.web import WebFace

if TYPE_CHECKING:
    from nexus.dispatch.runtime import Runtime

IDLE_SECONDS = 900.0
DRAIN_SECONDS = 10.0
"""How long commands under way may take to finish when the resident ends; then they are sent SIGTERM."""
END_SECONDS = 3.0
"""How long a command may take to end by SIGTERM, and again when it is cancelled."""
WATCH_SECONDS = 5.0
"""How often the socket's place in the file system is looked at."""
SETTLE_SECONDS = 1.0
"""How long after the start garbage is collected: imports leave none, and looking for it takes a tenth of their time."""

THREADS = 128
"""How many handlers may block at a time; threads are made as they are needed."""

_log = logging.getLogger(__name__)


class Resident:
    """One process's service of one set of places. It is made with the owner's lock held."""

    def __init__(
        self, places: Places, installation: Installation, lock: OwnerLock, environment: Mapping[str, str]
    ) -> None:
        self.instance = lock.instance
        self._lock = lock
        self.owner = os.geteuid()
        self._places = places
        self._folders = Folders.of(places)
        self._installation = installation
        self._environment = environment
        self._idle_seconds = IDLE_SECONDS
        self._log_file = f"{places.state}/logs/resident.log"
        self._listener = Listener(Path(places.socket))
        self._listening: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._host = ResidentHost(Path(places.socket), self._commands, self.end)
        self._kernel = LocalKernel(
            self._folders.data,
            self._as_host,
            lambda key: self._folders.setting(key, environment),
            lambda: self._folders.keyring(environment),
            self._folders.hidden(places.runtime),
        )
        self._web = WebFace(self._kernel.app)
        self._runtime: Runtime | None = None
        self._ending = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._restarts = False
        self._succeeded = False
        self._idle: asyncio.TimerHandle | None = None

    # What its process calls.

    async def serve(self, ready: Callable[[], None]) -> bool:
        """Serve until the end; `ready` is called when commands may come. Return whether to start again."""
        loop = asyncio.get_running_loop()
        # asyncio's own has six threads on two cores: so many handlers that block would stall every other.
        loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="command"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end, False)
        loop.add_signal_handler(signal.SIGUSR1, self._watch)
        await self._bind()
        ready()
        # The first command is on its way: what it needs is read while it travels.
        self._load()
        self._read_settings()
        self._count_down()
        watching = asyncio.create_task(self._keep_watch())
        await self._ending.wait()
        watching.cancel()
        await self._drain()
        await self._close()
        return self._restarts

    def end(self, restarts: bool) -> None:
        """Finish what is under way, then leave; `restarts` has a new process take the place."""
        self._restarts = self._restarts or restarts
        self._succeeded = self._succeeded or restarts
        self._ending.set()

    # What its connections call.

    def admit(self, request: Request) -> None:
        """Return when the command is to be run here. Raises `Refused`, `Draining`."""
        if self._ending.is_set():
            raise Draining
        if request.key != self._places.key:
            raise Refused("The resident serves other places than this command's.")
        other = request.version != __version__ or request.site != self._installation.identity
        if other or self._installation.changed():
            self._succeeded = True  # by the one that this command starts
            self.end(False)
            raise Draining

    async def answer(self, call: Call) -> int:
        """Run a command; print everything through the call; return the exit status."""
        from nexus.cli.run import run

        return await run(call, self._load())

    def entered(self, connection: Connection) -> None:
        """Count a connection in."""
        self._connections.add(connection)
        self._empty.clear()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def left(self, connection: Connection) -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()
            self._count_down()

    def take_http(self, transport: asyncio.Transport, data: bytes) -> None:
        """Serve a connection whose first bytes are not a launcher's."""
        self._web.take(transport, data)

    # Within.

    def _load(self) -> "Runtime":
        if self._runtime is None:
            from nexus.cli import run  # noqa: F401 -- read into the cache of modules
            from nexus.dispatch.runtime import Runtime
            from nexus.fronts import CommandFronts
            from nexus.resident.brings import bring_sessions

            self._runtime = Runtime(self._kernel, self._folders, CommandFronts)
            self._kernel.brings = partial(bring_sessions, self._runtime.plugins)
            asyncio.get_running_loop().call_later(SETTLE_SECONDS, _settle)
        return self._runtime

    async def _as_host(self) -> ResidentHost:
        return self._host

    def _commands(self) -> int:
        return sum(connection.busy for connection in self._connections)

    async def _bind(self) -> None:
        self._listening = self._listener.bind()
        loop = asyncio.get_running_loop()
        # The server closes the socket it is given; the last callers are taken from our own descriptor of it.
        self._server = await loop.create_unix_server(
            lambda: Connection(self), sock=self._listening.dup(), backlog=BACKLOG
        )

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self._watch()
            self._read_settings()

    def _watch(self) -> None:
        """Leave if the places were taken away; bind again if the socket was: a logout empties the runtime folder."""
        if self._lock.lost():
            _log.warning("the lock of these places is gone, and with it the right to serve them")
            self.end(False)
        try:
            bound_log(self._log_file)
        except OSError:
            _log.exception("a new log cannot be begun")
        if self._listener.lost() and not self._ending.is_set():
            _log.warning("the socket %s was lost and is bound again", self._places.socket)
            old, old_listening = self._server, self._listening
            task = asyncio.get_running_loop().create_task(self._bind_again(old, old_listening))
            task.add_done_callback(_log_failure)

    async def _bind_again(self, old: asyncio.Server | None, listening: socket.socket | None) -> None:
        await self._bind()
        if old is not None:
            old.close()
        if listening is not None:
            listening.close()

    def _read_settings(self) -> None:
        """Take the idle time from the configuration."""
        seconds = float(self._folders.setting("runtime.idle", self._environment))
        if seconds != self._idle_seconds:
            self._idle_seconds = seconds
            if self._idle is not None:
                self._count_down()

    def _count_down(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._leave_if_idle)

    def _leave_if_idle(self) -> None:
        self._idle = None
        live = self._kernel.live()
        if self._connections or self._web.live or (live is not None and (live.sessions or live.processes)):
            self._count_down()
            return
        _log.info("idle for %g seconds", self._idle_seconds)
        self.end(False)

    async def _drain(self) -> None:
        """Let commands finish, streams by the resident that comes; then end them as a terminal would; then cancel
        them; then leave them."""
        if self._succeeded:
            for connection in list(self._connections):
                connection.hand_over()
        if await self._quiet(DRAIN_SECONDS):
            return
        for connection in list(self._connections):
            connection.signal(signal.SIGTERM)
        if await self._quiet(END_SECONDS):
            return
        for connection in list(self._connections):
            connection.give_up()
        await self._quiet(END_SECONDS)

    async def _quiet(self, seconds: float) -> bool:
        """Wait until no command is under way and every answer has left; say whether that is so."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def _close(self) -> None:
        self._listener.remove()
        if self._server is not None:
            self._server.close()
        self._turn_away()
        await self._web.close(END_SECONDS)
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                if self._runtime is not None:
                    await self._runtime.close()
                await self._kernel.close()
        except Exception:  # noqa: BLE001 -- the process ends all the same, and its log says how
            _log.exception("the kernel did not close")

    def _turn_away(self) -> None:
        """Tell those who connected at the last moment: their command was not begun."""
        if self._listening is None:
            return
        self._listening.setblocking(False)
        while True:
            try:
                late, _ = self._listening.accept()
            except OSError:
                break
            with late:
                late.setblocking(False)
                try:
                    late.send(frame(frames.DRAINING, self.instance))
                except OSError:
                    continue
        self._listening.close()


def _settle() -> None:
    """Begin to collect garbage, but not among what was imported: that stays for good."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("the socket cannot be bound again", exc_info=task.exception())
