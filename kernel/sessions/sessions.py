"""The sessions of a kernel: made, found, read, written to, restarted, closed; there again after a restart."""

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import assert_never

from nexus.kernel.sessions import rows
from nexus.kernel.sessions.attachment import Attachment, joined, place
from nexus.kernel.sessions.driver import Driver, Drivers, GivenInput
from nexus.kernel.sessions.input import SessionInputs
from nexus.kernel.sessions.listing import find_record, list_sessions, live_records
from nexus.kernel.sessions.live import LiveSession
from nexus.kernel.sessions.log import EventLog
from nexus.kernel.sessions.output import SessionOutput
from nexus.kernel.sessions.record import Record
from nexus.schemas.errors import NexusError, ResourceUnavailable, SessionClosed, SessionExpired
from nexus.schemas.page import Page
from nexus.schemas.protocol import (
    ActivateSession,
    AttachSession,
    CloseSession,
    CreateSession,
    InputTaken,
    InterruptSession,
    ListSessions,
    ResizeSession,
    RestartSession,
    SendInput,
    SessionAnswer,
    SessionChanged,
    SessionCommand,
    SessionCreated,
    SessionsListed,
    SessionViewed,
    ViewSession,
)
from nexus.schemas.session import (
    CallerSurroundings,
    InputAccepted,
    NewSession,
    Restart,
    Session,
    SessionInput,
    SessionQuery,
    SessionView,
    WindowSize,
)
from nexus.sessions.types import SessionTypes

START_SECONDS = 30.0
CLOSE_SECONDS = 20.0
SWEEP_SECONDS = 2.0

logger = logging.getLogger("nexus.kernel.sessions")


class Sessions:
    """Every session of this kernel; also the `SessionHost` that the local transport calls. One event loop."""

    def __init__(self, log: EventLog, types: SessionTypes, drivers: Drivers) -> None:
        self.log = log
        self.types = types
        self.drivers = drivers
        drivers.ready = self.ready
        self.live: dict[str, LiveSession] = {}
        self._opening: asyncio.Task[None] | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Open the log in the background: what was at work is taken up before anyone asks."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(_tell_failure)

    async def ready(self) -> None:
        """Wait until the log is open; it is opened by its first use. Raises the storage errors."""
        self.begin()
        if self._opening is not None:
            await asyncio.shield(self._opening)

    async def close(self) -> None:
        """Let go of every driver, and close the log. The sessions stay as they are, for the next kernel."""
        if self._opening is None:
            return
        with suppress(NexusError):
            await self._opening
        for task in [*self._tasks, *([self._sweeper] if self._sweeper else [])]:
            task.cancel()
        for live in list(self.live.values()):
            with suppress(NexusError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await live.driver.detach()
        await self.log.close()

    async def _open(self) -> None:
        try:
            await self.log.open()
        except BaseException:
            # The next use tries again.
            self._opening = None
            raise
        for record, epoch in await live_records(self.log):
            try:
                live = await self._prepare(record, epoch)
            except ResourceUnavailable as error:
                # Its plugin is not there today. The session stays as it is, and says so when it is used.
                logger.warning("session %s rests: %s", record.session.session_id, error)
                continue
            self._background(self._resume(live))
        self._sweeper = asyncio.create_task(self._sweep())

    # -- the session ABI

    async def request(self, command: SessionCommand) -> SessionAnswer:
        """Do one command."""
        match command:
            case CreateSession():
                return SessionCreated(id=command.id, session=await self.create(command.session, command.id))
            case ListSessions():
                return SessionsListed(id=command.id, page=await self.list(command.query))
            case ViewSession():
                return SessionViewed(id=command.id, session=await self.view(command.session_id))
            case SendInput():
                taken = await self.send(command.session_id, command.input)
                return InputTaken(id=command.id, input=taken)
            case InterruptSession():
                view = await self.interrupt(command.session_id)
            case ResizeSession():
                view = await self.resize(command.session_id, command.size)
            case RestartSession():
                view = await self.restart(command.session_id, command.restart)
            case ActivateSession():
                view = await self.activate(command.session_id)
            case CloseSession():
                view = await self.end(command.session_id)
            case _:
                assert_never(command)
        return SessionChanged(id=command.id, session=view)

    async def create(self, new: NewSession, request: str | None = None) -> Session:
        """Make a session. The same `request` again gives the session that it made.

        Raises ContextMissing, ValidationError, ResourceUnavailable, and what its driver raises.
        """
        await self.ready()
        session_type = self.types.get(new.type)
        session_type.check(new.context, new.options, new.transport)
        self.drivers.get(new.type)
        now = datetime.now(UTC)
        expires = now + timedelta(seconds=new.expires_seconds) if new.expires_seconds else None
        session = Session(
            session_id=f"ses_{secrets.token_hex(10)}",
            type=new.type,
            created_at=now,
            expires_at=expires,
            context=new.context,
            transport=new.transport,
            capabilities=session_type.capabilities,
        )
        idle = new.idle_seconds if new.idle_seconds is not None else session_type.idle_seconds
        record = Record(session=session, options=new.options, idle_seconds=idle)
        made = await self.log.run(lambda connection: rows.insert(connection, record, request))
        if made != session.session_id:
            earlier, _ = await find_record(self.log, made)
            return earlier.session
        await self._note_paused(record)
        await self._start(record, new.surroundings)
        return session

    async def list(self, query: SessionQuery) -> Page[Session]:
        """Return a page of sessions, the newest first."""
        await self.ready()
        return await list_sessions(self.log, query)

    async def view(self, session_id: str) -> SessionView:
        """Return a session with the place of its stream. Raises SessionNotFound."""
        await self.ready()
        record, _ = await find_record(self.log, session_id)
        stream = await self.log.stream(session_id)
        live = self.live.get(session_id)
        return SessionView(
            **record.session.model_dump(by_alias=False),
            epoch=stream.epoch,
            oldest=stream.trimmed + 1,
            newest=stream.landed,
            readers=len(live.readers) if live else 0,
        )

    async def attach(self, command: AttachSession) -> Attachment:
        """Open a reader at its position. Raises SessionNotFound, SessionGap, ResourceUnavailable."""
        await self.ready()
        record, _ = await find_record(self.log, command.session_id)
        self.types.get(record.session.type).require("receive", command.session_id)
        stream = await self.log.stream(command.session_id, command.epoch)
        after = place(stream, command)
        live = self.live.get(command.session_id)
        attachment = Attachment(
            self.log,
            joined(record.session, stream, after),
            stream,
            command,
            changed=lambda: self._tell(command.session_id),
            left=lambda gone: self._left(command.session_id, gone),
        )
        if live is not None and stream.epoch == live.output.epoch:
            live.readers.add(attachment)
            live.touch()
            live.tell_audience()
        return attachment

    async def send(self, session_id: str, given: SessionInput) -> InputAccepted:
        """Apply numbered input once. Raises SessionClosed, SessionExpired, ResourceUnavailable, SessionGap."""
        live = await self._usable(session_id, "send")
        content = GivenInput(given.client, given.number, given.content())
        return await live.inputs.take(content, live.driver.send)

    async def interrupt(self, session_id: str) -> SessionView:
        """Interrupt what is at work in the session."""
        live = await self._usable(session_id, "interrupt")
        await live.driver.interrupt()
        return await self.view(session_id)

    async def resize(self, session_id: str, size: WindowSize) -> SessionView:
        """Tell the session its terminal's size."""
        live = await self._usable(session_id, "resize")
        await live.driver.resize(size.columns, size.rows)
        return await self.view(session_id)

    async def activate(self, session_id: str) -> SessionView:
        """Make a live session the active one of its type in its context."""
        live = await self._usable(session_id, "receive")
        await self.log.run(lambda connection: rows.make_active(connection, live.record))
        live.record.session.status = "active"
        await self._note_paused(live.record)
        return await self.view(session_id)

    async def restart(self, session_id: str, restart: Restart) -> SessionView:
        """End the session's stream, if it has not ended, and start it anew in the next epoch."""
        await self.ready()
        record, epoch = await find_record(self.log, session_id)
        self.types.get(record.session.type).require("restart", session_id)
        if restart.epoch is not None and restart.epoch < epoch:
            return await self.view(session_id)
        live = self.live.get(session_id)
        if live is not None:
            await self._close_live(live, "restarted")
            record = live.record
        if _is_past(record.session):
            raise SessionExpired(session_id=session_id)
        record.session.status = "active"
        await self.log.run(lambda connection: rows.next_epoch(connection, record))
        self.log.forget(session_id)
        await self._note_paused(record)
        await self._start(record)
        return await self.view(session_id)

    async def end(self, session_id: str, reason: str = "closed") -> SessionView:
        """Close a session; one that is closed already stays as it is."""
        await self.ready()
        live = self.live.get(session_id)
        if live is not None:
            await self._close_live(live, reason)
        return await self.view(session_id)

    # -- within

    async def _usable(self, session_id: str, capability: str) -> LiveSession:
        await self.ready()
        live = self.live.get(session_id)
        if live is None:
            record, _ = await find_record(self.log, session_id)
            if _is_past(record.session):
                raise SessionExpired(session_id=session_id)
            if record.session.status in ("closed", "error"):
                raise SessionClosed(session_id=session_id)
            self.drivers.get(record.session.type)
            raise ResourceUnavailable.because(f"The session {session_id} is not at work.", session_id=session_id)
        self.types.get(live.record.session.type).require(capability, session_id)
        if live.expired:
            await self._close_live(live, "expired")
            raise SessionExpired(session_id=session_id)
        live.touch()
        async with live.turn:
            if live.ended:
                raise SessionClosed(session_id=session_id)
        return live

    async def _prepare(self, record: Record, epoch: int) -> LiveSession:
        session_id = record.session.session_id
        factory = self.drivers.get(record.session.type)
        output = SessionOutput(self.log, record, epoch, lambda: self._ended(session_id, epoch))
        driver: Driver = factory(output)
        stream = await self.log.stream(session_id)
        inputs = SessionInputs(self.log, stream.key, durable=not driver.numbers_input)
        live = self.live[session_id] = LiveSession(record, output, driver, inputs)
        return live

    async def _start(self, record: Record, surroundings: CallerSurroundings | None = None) -> None:
        session_id = record.session.session_id
        stream = await self.log.stream(session_id)
        live = await self._prepare(record, stream.epoch)
        live.output.surroundings = surroundings
        try:
            async with live.turn, asyncio.timeout(START_SECONDS):
                await live.driver.start()
        except BaseException as error:
            await self._undo(live, error)
            raise

    async def _undo(self, live: LiveSession, error: BaseException) -> None:
        """A session that could not start: one that never printed is as if it was never made, another one ends."""
        session_id = live.record.session.session_id
        if live.output.epoch == 1 and not live.output.last:
            self.live.pop(session_id, None)
            self.log.forget(session_id)
            await self.log.run(lambda connection: rows.delete(connection, session_id))
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

    async def _close_live(self, live: LiveSession, reason: str) -> None:
        async with live.turn:
            if live.ended:
                return
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await live.driver.close(reason)
            except Exception:
                logger.exception("session %s did not close by itself", live.record.session.session_id)
            await live.output.end(reason)

    def _ended(self, session_id: str, epoch: int) -> None:
        live = self.live.get(session_id)
        if live is not None and live.output.epoch == epoch:
            live.ended = True
            del self.live[session_id]

    async def _note_paused(self, active: Record) -> None:
        """What the file knows of pauses, the records in memory know too."""
        for live in self.live.values():
            session = live.record.session
            same = session.type == active.session.type and session.context == active.session.context
            if same and session.session_id != active.session.session_id and session.status == "active":
                session.status = "paused"

    def _tell(self, session_id: str) -> None:
        live = self.live.get(session_id)
        if live is not None:
            live.tell_audience()

    def _left(self, session_id: str, gone: Attachment) -> None:
        live = self.live.get(session_id)
        if live is not None and gone in live.readers:
            live.readers.discard(gone)
            live.touch()
            live.tell_audience()

    async def _sweep(self) -> None:
        """Close what is idle or has expired."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for live in list(self.live.values()):
                if live.expired:
                    self._background(self._close_live(live, "expired"))
                elif live.idle:
                    self._background(self._close_live(live, "idle"))

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _tell_failure(opening: "asyncio.Task[None]") -> None:
    if not opening.cancelled() and opening.exception() is not None:
        logger.error("the event log cannot be opened: %s", opening.exception())


def _is_past(session: Session) -> bool:
    return session.expires_at is not None and session.expires_at <= datetime.now(UTC)
