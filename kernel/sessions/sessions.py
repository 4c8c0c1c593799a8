"""The sessions of a kernel: made, found, read, written to, restarted, closed; there again after a restart."""

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import assert_never
from weakref import WeakValueDictionary

from nexus.kernel.sessions import rows
from nexus.kernel.sessions.attachment import Attachment, joined, place
from nexus.kernel.sessions.driver import Drivers, GivenInput
from nexus.kernel.sessions.listing import find_record, list_sessions
from nexus.kernel.sessions.live import LiveSession
from nexus.kernel.sessions.lives import Lives
from nexus.kernel.sessions.log import EventLog
from nexus.kernel.sessions.record import Record, new_session_id
from nexus.kernel.sessions.retention import SLICE_ROWS
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

logger = logging.getLogger("nexus.kernel.sessions")


class Sessions:
    """Every session of this kernel; also the `SessionHost` that the local transport calls. One event loop."""

    def __init__(self, log: EventLog, types: SessionTypes, drivers: Drivers) -> None:
        self.log = log
        self.types = types
        self.drivers = drivers
        drivers.ready = self.ready
        drivers.at_work = lambda: self.live
        drivers.open = self.open
        drivers.forget = self.forget
        self._lives = Lives(log, drivers)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._opening: asyncio.Task[None] | None = None

    @property
    def live(self) -> dict[str, LiveSession]:
        """What is at work, by session id."""
        return self._lives.at_work

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
        await self._lives.let_go()
        await self.log.close()

    async def _open(self) -> None:
        try:
            await self.log.open()
        except BaseException:
            # The next use tries again.
            self._opening = None
            raise
        await self._lives.take_up()

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
        return await self._create(new, request, new_session_id())

    async def open(self, new: NewSession, session_id: str) -> Session:
        """Make a session of this id, which is its maker's, and fresh. Raises as `create`."""
        return await self._create(new, None, session_id)

    async def _create(self, new: NewSession, request: str | None, session_id: str) -> Session:
        await self.ready()
        session_type = self.types.get(new.type)
        session_type.check(new.context, new.options, new.transport)
        self.drivers.get(new.type)
        now = datetime.now(UTC)
        expires = now + timedelta(seconds=new.expires_seconds) if new.expires_seconds else None
        session = Session(
            session_id=session_id,
            type=new.type,
            created_at=now,
            expires_at=expires,
            context=new.context,
            transport=new.transport,
            capabilities=session_type.capabilities,
        )
        idle = new.idle_seconds if new.idle_seconds is not None else session_type.idle_seconds
        record = Record(session=session, options=new.options, idle_seconds=idle, expires_seconds=new.expires_seconds)
        made = await self.log.run(lambda connection: rows.insert(connection, record, request))
        if made != session.session_id:
            earlier, _ = await find_record(self.log, made)
            return earlier.session
        self._lives.note_paused(record)
        await self._lives.start(record, new.surroundings)
        # What the session is from here on is not the caller's to change, nor to see change.
        return session.model_copy(deep=True)

    async def forget(self, session_type: str, run_ids: Collection[str]) -> None:
        """Delete runs' sessions of a type with all that they printed; one that is at work is closed first."""
        await self.ready()
        for session_id in await self.log.run(lambda connection: rows.of_runs(connection, session_type, run_ids)):
            await self.end(session_id, "deleted")
            await self._delete(session_id)

    async def _delete(self, session_id: str) -> None:
        # A commit never waits for a log of gigabytes.
        while await self.log.run(lambda connection: rows.delete_some(connection, session_id, SLICE_ROWS)):
            pass
        self.log.forget(session_id)
        await self.log.run(lambda connection: rows.delete(connection, session_id))

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

    async def type_of(self, session_id: str) -> str:
        """Return a session's type. Raises SessionNotFound."""
        live = self.live.get(session_id)
        if live is not None:
            return live.record.session.type
        await self.ready()
        record, _ = await find_record(self.log, session_id)
        return record.session.type

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
        self._lives.note_paused(live.record)
        return await self.view(session_id)

    async def restart(self, session_id: str, restart: Restart) -> SessionView:
        """End the session's stream, if it has not ended, and start it anew in the next epoch."""
        await self.ready()
        async with self._turns.setdefault(session_id, asyncio.Lock()):
            record, epoch = await find_record(self.log, session_id)
            self.types.get(record.session.type).require("restart", session_id)
            if restart.epoch is None or restart.epoch >= epoch:
                if _is_past(record.session):
                    raise SessionExpired(session_id=session_id)
                await self._begin_anew(record, "restarted")
        return await self.view(session_id)

    async def end(self, session_id: str, reason: str = "closed") -> SessionView:
        """Close a session; one that is closed already stays as it is."""
        await self.ready()
        live = self.live.get(session_id)
        if live is not None:
            await self._lives.close(live, reason)
        return await self.view(session_id)

    # -- within

    async def _usable(self, session_id: str, capability: str) -> LiveSession:
        """Return a session that can be used. One that has expired is made again, where its type allows that."""
        await self.ready()
        live = self.live.get(session_id)
        if live is None or live.expired:
            live = await self._renewed(session_id)
        self.types.get(live.record.session.type).require(capability, session_id)
        live.touch()
        async with live.turn:
            if live.ended:
                raise SessionClosed(session_id=session_id)
        return live

    async def _renewed(self, session_id: str) -> LiveSession:
        async with self._turns.setdefault(session_id, asyncio.Lock()):
            record, _ = await find_record(self.log, session_id)
            live = self.live.get(session_id)
            if live is not None and not live.expired:
                return live
            if not _is_past(record.session):
                raise self._unusable(record)
            if not self.types.get(record.session.type).renewed:
                if live is not None:
                    await self._lives.close(live, "expired")
                raise SessionExpired(session_id=session_id)
            await self._begin_anew(record, "expired")
        return self.live[session_id]

    async def _begin_anew(self, record: Record, reason: str) -> None:
        """End the session's stream for this reason, if it has not ended, and start the next."""
        session_id = record.session.session_id
        live = self.live.get(session_id)
        if live is not None:
            await self._lives.close(live, reason)
            record = live.record
        session = record.session
        session.status = "active"
        if reason == "expired" and record.expires_seconds is not None:
            session.expires_at = datetime.now(UTC) + timedelta(seconds=record.expires_seconds)
        await self.log.run(lambda connection: rows.next_epoch(connection, record))
        self.log.forget(session_id)
        self._lives.note_paused(record)
        await self._lives.start(record)

    def _unusable(self, record: Record) -> NexusError:
        """Say why a session that has not expired is not at work."""
        session = record.session
        if session.status in ("closed", "error"):
            return SessionClosed(session_id=session.session_id)
        self.drivers.get(session.type)
        return ResourceUnavailable.because(
            f"The session {session.session_id} is not at work.", session_id=session.session_id
        )

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


def _tell_failure(opening: "asyncio.Task[None]") -> None:
    if not opening.cancelled() and opening.exception() is not None:
        logger.error("the event log cannot be opened: %s", opening.exception())


def _is_past(session: Session) -> bool:
    return session.expires_at is not None and session.expires_at <= datetime.now(UTC)
