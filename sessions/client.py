"""The Session ABI over any transport: create, attach, send, receive, interrupt, resize, restart, close."""

import asyncio
import secrets
import time
from contextlib import suppress
from typing import TypeVar

from nexus.schemas.errors import ConnectionLost, NexusError, OutcomeUnknown, SessionGap
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
from nexus.sessions.backoff import Backoff
from nexus.sessions.core.position import Batch
from nexus.sessions.core.reader import Reader
from nexus.sessions.sender import Sender
from nexus.sessions.transport import DEFAULT_WINDOW, Channel, Joined, Transport, TransportLost

Answer = TypeVar("Answer", bound=SessionAnswer)

LEAST_WINDOW = 4096
MOST_HALVINGS = 8
GOOD_BATCHES = 8
"""A connection that brought so many batches was good enough for larger ones."""


class SessionClient:
    """Sessions of one kernel. What the way there does is repaired here: asked again where that is safe, within bounds.

    Raises the kernel's errors, ConnectionLost when the kernel cannot be reached for `backoff.patience` seconds, and
    OutcomeUnknown where a command may have been done and may not be asked again.
    """

    def __init__(self, transport: Transport, *, backoff: Backoff | None = None) -> None:
        self.transport = transport
        self.backoff = backoff or Backoff()

    async def create(self, new: NewSession) -> Session:
        """Open a session. Asked again after a broken connection it makes no second one."""
        return (await self._ask(CreateSession(id=_new_id(), session=new), SessionCreated)).session

    async def list(self, query: SessionQuery | None = None) -> Page[Session]:
        command = ListSessions(id=_new_id(), query=query or SessionQuery())
        return (await self._ask(command, SessionsListed)).page

    async def view(self, session_id: str) -> SessionView:
        return (await self._ask(ViewSession(id=_new_id(), session_id=session_id), SessionViewed)).session

    async def attach(
        self,
        session_id: str,
        *,
        epoch: int | None = None,
        after: int | None = None,
        tail: int | None = None,
        window: int | None = None,
        interactive: bool = False,
    ) -> "Attachment":
        """Read a session behind `after`, or the newest `tail` events, or all that is kept; then what comes live."""
        asked = AttachSession(
            id=_new_id(),
            session_id=session_id,
            epoch=epoch,
            after=after,
            tail=tail,
            window=window,
            interactive=interactive,
        )
        attachment = Attachment(self, asked)
        await attachment.join()
        return attachment

    def sender(self, session_id: str) -> Sender:
        """Return what sends numbered input to a session; close it."""
        return Sender(lambda given: self.send_input(session_id, given))

    async def send(self, session_id: str, data: bytes) -> InputAccepted:
        """Send one input, and return when it is applied."""
        return await self.send_input(session_id, SessionInput.of(_new_id(), 1, data))

    async def send_input(self, session_id: str, given: SessionInput) -> InputAccepted:
        """Send an input under its number; the same number again is applied once."""
        command = SendInput(id=_new_id(), session_id=session_id, input=given)
        return (await self._ask(command, InputTaken)).input

    async def interrupt(self, session_id: str) -> SessionView:
        command = InterruptSession(id=_new_id(), session_id=session_id)
        return (await self._ask(command, SessionChanged, again=False)).session

    async def resize(self, session_id: str, columns: int, rows: int) -> SessionView:
        size = WindowSize(columns=columns, rows=rows)
        return (await self._ask(ResizeSession(id=_new_id(), session_id=session_id, size=size), SessionChanged)).session

    async def restart(self, session_id: str) -> SessionView:
        """Start the session anew, in the next epoch."""
        # Named by its epoch, so that asking again restarts nothing twice.
        restart = Restart(epoch=(await self.view(session_id)).epoch)
        command = RestartSession(id=_new_id(), session_id=session_id, restart=restart)
        return (await self._ask(command, SessionChanged)).session

    async def activate(self, session_id: str) -> SessionView:
        return (await self._ask(ActivateSession(id=_new_id(), session_id=session_id), SessionChanged)).session

    async def close(self, session_id: str) -> SessionView:
        """Close a session; one that is closed stays so."""
        return (await self._ask(CloseSession(id=_new_id(), session_id=session_id), SessionChanged)).session

    async def aclose(self) -> None:
        """Close the transport. The sessions stay."""
        await self.transport.aclose()

    async def _ask(self, command: SessionCommand, answer: type[Answer], *, again: bool = True) -> Answer:
        attempts = Attempts(self.backoff, f"the command {command.type}")
        while True:
            try:
                answered = await self.transport.request(command)
            except TransportLost as error:
                if error.sent and not again:
                    raise OutcomeUnknown.because(
                        f"The connection ended before {command.type} was answered: whether it was done is not known."
                    ) from error
                await attempts.failed(error)
                continue
            if not isinstance(answered, answer):
                raise ConnectionLost.because(f"The kernel answered {command.type} with {answered.type}.")
            return answered


class Attachment:
    """One reader. `receive` gives batches without hole or repetition, over as many connections as it takes."""

    def __init__(self, client: SessionClient, asked: AttachSession) -> None:
        self.reader = Reader(asked.session_id, epoch=asked.epoch, last=asked.after)
        self._client = client
        self._asked = asked
        self._channel: Channel | None = None
        self._attempts = Attempts(client.backoff, f"the session {asked.session_id}")
        self._joined: Joined | None = None
        self._batches = 0
        self._halvings = 0

    @property
    def joined(self) -> Joined:
        """Where the reader joined first."""
        if self._joined is None:
            raise LookupError("the attachment has not joined")
        return self._joined

    async def receive(self) -> Batch | None:
        """Return the next lines; None behind the stream's end.

        Raises SessionGap, and the other errors that end a stream without its end; then nothing more comes.
        """
        while not self.reader.over:
            if self.reader.must_resume or self._channel is None:
                await self.join()
                continue
            batch = await self._next(self._channel)
            if batch is not None:
                return batch
        return None

    async def consumed(self, seq: int) -> None:
        """Tell that everything up to `seq` is through: printed, or shown."""
        if self._channel is not None and not self.reader.over:
            # A way that is lost says so to who receives.
            with suppress(TransportLost):
                await self._channel.consumed(seq)

    async def join(self) -> None:
        """Open a channel behind the reader's position, however many attempts that takes within bounds."""
        await self._leave()
        while self._channel is None:
            self.reader.attach()
            try:
                channel = await self._client.transport.attach(self._place())
            except TransportLost as error:
                self.reader.lost()
                await self._failed(error)
                continue
            except NexusError as error:
                if not error.entry().details.get("retryable"):
                    self.reader.refused()
                    raise
                self.reader.lost()
                await self._failed(error)
                continue
            await self._enter(channel)

    async def aclose(self) -> None:
        """Let go of the session. Safe more than once."""
        if not self.reader.over:
            self.reader.stop()
        await self._leave()

    async def _next(self, channel: Channel) -> Batch | None:
        try:
            each = await channel.receive()
        except TransportLost as error:
            self.reader.lost()
            await self._failed(error)
            return None
        except NexusError:
            self.reader.refused()
            raise
        if not isinstance(each, Batch):
            self.reader.heartbeat(each.newest)
            return None
        lines = self.reader.receive(each)
        if self.reader.must_resume:
            # A hole in what came: it counts as a failure, or a broken kernel would be asked without end.
            await self._failed(TransportLost(f"event {each.first} came behind {self.reader.last}"))
        if not lines:
            return None
        self._attempts.succeeded()
        self._batches += 1
        return _cut(each, lines)

    def _place(self) -> AttachSession:
        # A window is the most that one frame holds: on a line that breaks under large ones, small ones come through.
        window = self._asked.window
        if self._halvings:
            window = max(LEAST_WINDOW, (window or DEFAULT_WINDOW) >> self._halvings)
        position = self.reader.position
        if position is None:
            return self._asked.model_copy(update={"window": window})
        return self._asked.model_copy(
            update={"id": _new_id(), "epoch": position.epoch, "after": position.seq, "tail": None, "window": window}
        )

    async def _enter(self, channel: Channel) -> None:
        joined = channel.joined
        if not self.reader.attached(joined.epoch, joined.after, joined.newest):
            await channel.aclose()
            raise SessionGap.because(
                f"The session {self._asked.session_id} goes on somewhere else than it was asked for.",
                session_id=self._asked.session_id,
                missing={"epoch": self.reader.epoch, "first": (self.reader.last or 0) + 1, "last": joined.after},
            )
        self._channel = channel
        self._joined = self._joined or joined

    async def _leave(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.aclose()

    async def _failed(self, error: Exception) -> None:
        if self._batches == 0:
            self._halvings = min(self._halvings + 1, MOST_HALVINGS)
        elif self._batches >= GOOD_BATCHES:
            self._halvings = max(self._halvings - 1, 0)
        self._batches = 0
        try:
            await self._attempts.failed(error)
        except NexusError:
            self.reader.refused()
            raise


class Attempts:
    """Failures in a row, each followed by a longer wait, until patience ends."""

    def __init__(self, backoff: Backoff, what: str) -> None:
        self._backoff = backoff
        self._what = what
        self._failures = 0
        self._since = 0.0

    def succeeded(self) -> None:
        self._failures = 0

    async def failed(self, error: Exception) -> None:
        """Wait before the next attempt. Raises ConnectionLost when there is to be none."""
        now = time.monotonic()
        self._failures += 1
        if self._failures == 1:
            self._since = now
        if now - self._since >= self._backoff.patience:
            reason = f"The connection was lost, and {self._what} could not be reached for"
            raise ConnectionLost.because(
                f"{reason} {self._backoff.patience:g} seconds: {error}.", attempts=self._failures
            ) from error
        await asyncio.sleep(self._backoff.delay(self._failures))


def _cut(batch: Batch, lines: bytes) -> Batch:
    """Return the batch with only its new lines."""
    if len(lines) == len(batch.lines):
        return batch
    return Batch(batch.epoch, batch.last - lines.count(b"\n") + 1, batch.last, lines, batch.end)


def _new_id() -> str:
    return secrets.token_hex(8)
