"""Sessions of type `network-stream`: what opens, changes and closes among the connections, as it is seen to happen."""

import asyncio
import logging
import time
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import pydantic

from nexus.kernel.api.failure import refused
from nexus.kernel.network.changes import Links, by_id, changes, present
from nexus.kernel.network.sockets import Scan
from nexus.kernel.network.view import NetworkView
from nexus.kernel.sessions.driver import Driver
from nexus.schemas.errors import InternalError, NexusError, NotFound, SessionClosed
from nexus.schemas.network import MonitorOptions, NetworkEvent

if TYPE_CHECKING:
    from nexus.kernel.sessions.output import SessionOutput

AT_ONCE = 500
"""How many events are written and committed together."""
SERVER_SECONDS = 2.0
"""How often the servers are asked while somebody monitors them, at the most."""

logger = logging.getLogger("nexus.kernel.network")


class ConnectionMonitor(Driver):
    """Looks at the connections again and again, and tells what is another than before.

    What opens and closes between two looks is not seen. The monitor of one connection ends when it closes, that of one
    process or element when there is none any more.
    """

    def __init__(self, output: "SessionOutput", view: NetworkView) -> None:
        self._output = output
        self._view = view
        self._task: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[object] | None = None
        self._options = MonitorOptions()

    async def start(self) -> None:
        """Take the first look and begin. Raises `ValidationError`, and `NotFound` for what there is not."""
        self._options = self._read_options()
        scan = await self._look(patient=True)
        if self._options.id is not None and not scan.links:
            raise NotFound(resource="connection", reference=self._options.id, hint="nexus network connection list")
        await self._output.describe(source=self._options.scope, notes=list(scan.notes))
        self._begin(by_id(scan.links), tell=self._options.initial or not self._options.follow)

    async def resume(self) -> None:
        """Go on from what is there now: what changed while no kernel ran is not known, and said to be so."""
        try:
            self._options = self._read_options()
            scan = await self._look(patient=False)
        except NexusError as error:
            await self._fail(error)
            return
        await self._output.status("connected", "The kernel was away: what changed meanwhile is not told.")
        self._begin(by_id(scan.links), tell=not self._options.follow)

    async def close(self, reason: str) -> None:
        """Look no more, and end."""
        await self.detach()
        await self._output.end(reason)

    async def detach(self) -> None:
        """Look no more; the next kernel goes on."""
        tasks = [task for task in (self._task, self._asking) if task is not None and task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _read_options(self) -> MonitorOptions:
        try:
            return MonitorOptions.model_validate(self._output.options)
        except pydantic.ValidationError as error:
            raise refused(error, MonitorOptions, "options") from None

    def _begin(self, links: Links, *, tell: bool) -> None:
        self._task = asyncio.create_task(self._run(links, tell=tell))

    async def _run(self, links: Links, *, tell: bool) -> None:
        try:
            if tell:
                await self._tell(present(links))
            if self._options.follow:
                await self._follow(links)
            await self._output.end("completed", 0)
        except SessionClosed:
            return
        except NexusError as error:
            await self._fail(error)
        except Exception:
            logger.exception("the monitor %s failed inside", self._output.session.session_id)
            await self._fail(InternalError.because("the monitor failed"))

    async def _follow(self, links: Links) -> None:
        """Tell changes until what is watched is gone."""
        options = self._options
        pause = options.interval_ms / 1000
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            self._ask_servers()
            gone = False
            try:
                now = by_id((await self._look(patient=False)).links)
            except NotFound:
                # The process ended, and its connections with it.
                now, gone = {}, True
            await self._tell(changes(links, now))
            if gone or (options.id is not None and not now):
                return
            links = now
            pause = max(options.interval_ms / 1000, time.monotonic() - began)

    async def _look(self, *, patient: bool) -> Scan:
        look = self._view.of_kernel if self._options.scope == "kernel" else self._view.connections
        return await look(self._options, patient=patient)

    async def _tell(self, events: Iterable[NetworkEvent]) -> None:
        rest = iter(events)
        while payloads := [event.model_dump_json(by_alias=True) for event in islice(rest, AT_ONCE)]:
            await self._output.append(payloads)

    def _ask_servers(self) -> None:
        """Have the servers asked, beside: one that does not answer holds up nothing."""
        if self._asking is None or self._asking.done():
            within = max(SERVER_SECONDS, self._options.interval_ms / 1000)
            self._asking = asyncio.create_task(self._view.servers.all(within=within))
            self._asking.add_done_callback(_heard)

    async def _fail(self, error: NexusError) -> None:
        await self._output.error(error)
        await self._output.end("error", status="error")


def _heard(asked: "asyncio.Task[object]") -> None:
    """Take note of how asking ended: a store that cannot be read is told by the look itself."""
    if not asked.cancelled() and (error := asked.exception()) is not None:
        logger.warning("the servers could not be asked: %s", error)
