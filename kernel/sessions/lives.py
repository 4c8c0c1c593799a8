"""The sessions that are at work in this kernel: started, taken up, closed by themselves, let go at the end."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress

from nexus.kernel.sessions import rows
from nexus.kernel.sessions.driver import Driver, Drivers
from nexus.kernel.sessions.input import SessionInputs
from nexus.kernel.sessions.listing import live_records
from nexus.kernel.sessions.live import LiveSession
from nexus.kernel.sessions.log import EventLog
from nexus.kernel.sessions.output import SessionOutput
from nexus.kernel.sessions.record import Record
from nexus.schemas.errors import NexusError, ResourceUnavailable
from nexus.schemas.session import CallerSurroundings

START_SECONDS = 30.0
CLOSE_SECONDS = 20.0
SWEEP_SECONDS = 2.0

logger = logging.getLogger("nexus.kernel.sessions")


class Lives:
    """What is at work, by session id; each with its driver."""

    def __init__(self, log: EventLog, drivers: Drivers) -> None:
        self.at_work: dict[str, LiveSession] = {}
        self._log = log
        self._drivers = drivers
        self._sweeper: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def take_up(self) -> None:
        """Go on with what was at work when the kernel before this one ended."""
        for record, epoch in await live_records(self._log):
            try:
                live = await self._prepare(record, epoch)
            except ResourceUnavailable as error:
                # Its plugin is not there today. The session stays as it is, and says so when it is used.
                logger.warning("session %s rests: %s", record.session.session_id, error)
                continue
            self._background(self._resume(live))
        self._sweeper = asyncio.create_task(self._sweep())

    async def let_go(self) -> None:
        """Detach from everything; it stays as it is, for the next kernel."""
        for task in [*self._tasks, *([self._sweeper] if self._sweeper else [])]:
            task.cancel()
        for live in list(self.at_work.values()):
            with suppress(NexusError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await live.driver.detach()

    async def start(self, record: Record, surroundings: CallerSurroundings | None = None) -> None:
        """Start a session whose row is there. Raises what its driver raises; then it is not there, or has ended."""
        session_id = record.session.session_id
        stream = await self._log.stream(session_id)
        live = await self._prepare(record, stream.epoch)
        live.output.surroundings = surroundings
        try:
            async with live.turn, asyncio.timeout(START_SECONDS):
                await live.driver.start()
        except BaseException as error:
            await self._undo(live, error)
            raise

    async def close(self, live: LiveSession, reason: str) -> None:
        """End a session, by its driver, or without it when that does not come to an end."""
        async with live.turn:
            if live.ended:
                return
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await live.driver.close(reason)
            except Exception:
                logger.exception("session %s did not close by itself", live.record.session.session_id)
            await live.output.end(reason)

    def note_paused(self, active: Record) -> None:
        """What the file knows of pauses, the records in memory know too."""
        for live in self.at_work.values():
            session = live.record.session
            same = session.type == active.session.type and session.context == active.session.context
            if same and session.session_id != active.session.session_id and session.status == "active":
                session.status = "paused"

    async def _prepare(self, record: Record, epoch: int) -> LiveSession:
        session_id = record.session.session_id
        factory = self._drivers.get(record.session.type)
        output = SessionOutput(self._log, record, epoch, lambda: self._ended(session_id, epoch))
        driver: Driver = factory(output)
        stream = await self._log.stream(session_id)
        inputs = SessionInputs(self._log, stream.key, durable=not driver.numbers_input)
        live = self.at_work[session_id] = LiveSession(record, output, driver, inputs)
        return live

    async def _undo(self, live: LiveSession, error: BaseException) -> None:
        """A session that could not start: one that never printed is as if it was never made, another one ends."""
        session_id = live.record.session.session_id
        if live.output.epoch == 1 and not live.output.last:
            self.at_work.pop(session_id, None)
            self._log.forget(session_id)
            await self._log.run(lambda connection: rows.delete(connection, session_id))
            return
        if isinstance(error, NexusError):
            await live.output.error(error)
        await live.output.end("error", None, "error")

    async def _resume(self, live: LiveSession) -> None:
        session_id = live.record.session.session_id
        try:
            async with live.turn, asyncio.timeout(START_SECONDS):
                await live.driver.resume()
        except Exception as error:
            logger.exception("session %s cannot go on", session_id)
            if isinstance(error, NexusError):
                await live.output.error(error)
            await live.output.end("lost", None, "error")

    def _ended(self, session_id: str, epoch: int) -> None:
        live = self.at_work.get(session_id)
        if live is not None and live.output.epoch == epoch:
            live.ended = True
            del self.at_work[session_id]

    async def _sweep(self) -> None:
        """Close what is idle or has expired."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for live in list(self.at_work.values()):
                if live.expired:
                    self._background(self.close(live, "expired"))
                elif live.idle:
                    self._background(self.close(live, "idle"))

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
