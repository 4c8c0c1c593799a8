"""What goes over the kernel's WebSocket `/kernel`: commands and events, each a union discriminated by `type`.

A command has an id, which its answer repeats; a command sent again under its id is done once. A text message holds one
object. A binary message is a `session.lines` object, a newline, and then the lines themselves, as they are stored.
"""

from functools import cache
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.model import MOST_WHOLE, Model, StrictModel
from nexus.schemas.page import Page
from nexus.schemas.session import (
    InputAccepted,
    NewSession,
    Restart,
    Session,
    SessionId,
    SessionInput,
    SessionQuery,
    SessionView,
    WindowSize,
)

CommandId = Annotated[str, Field(min_length=1, max_length=100)]


class _Command(StrictModel):
    id: CommandId


class _SessionCommand(_Command):
    session_id: SessionId


class CreateSession(_Command):
    type: Literal["session.create"] = "session.create"
    session: NewSession


class ListSessions(_Command):
    type: Literal["session.list"] = "session.list"
    query: SessionQuery = Field(default_factory=SessionQuery)


class ViewSession(_SessionCommand):
    type: Literal["session.view"] = "session.view"


class AttachSession(_SessionCommand):
    """Read the session from a position on. Answered by `session.attached`, then its lines come.

    `after` None is the oldest that is kept, or with `tail` so many before the newest. The kernel sends at most `window`
    bytes ahead of what `session.consumed` told. `interactive` says that a person is at a terminal: while it is the only
    reader, the program is paced by it.
    """

    type: Literal["session.attach"] = "session.attach"
    epoch: int | None = Field(default=None, ge=1, le=MOST_WHOLE)
    after: int | None = Field(default=None, ge=0, le=MOST_WHOLE)
    tail: int | None = Field(default=None, ge=0, le=MOST_WHOLE)
    window: int | None = Field(default=None, ge=1024)
    interactive: bool = False


class LinesConsumed(_Command):
    """The reader is through with all lines up to `seq`. The one command that is not answered."""

    type: Literal["session.consumed"] = "session.consumed"
    attachment: int
    seq: int


class DetachSession(_Command):
    type: Literal["session.detach"] = "session.detach"
    attachment: int


class SendInput(_SessionCommand):
    type: Literal["session.input"] = "session.input"
    input: SessionInput


class InterruptSession(_SessionCommand):
    type: Literal["session.interrupt"] = "session.interrupt"


class ResizeSession(_SessionCommand):
    type: Literal["session.resize"] = "session.resize"
    size: WindowSize


class RestartSession(_SessionCommand):
    type: Literal["session.restart"] = "session.restart"
    restart: Restart = Field(default_factory=Restart)


class ActivateSession(_SessionCommand):
    """Make it the one of its type that commands in its context use."""

    type: Literal["session.activate"] = "session.activate"


class CloseSession(_SessionCommand):
    type: Literal["session.close"] = "session.close"


class Ping(_Command):
    type: Literal["ping"] = "ping"


SessionCommand = (
    CreateSession
    | ListSessions
    | ViewSession
    | SendInput
    | InterruptSession
    | ResizeSession
    | RestartSession
    | ActivateSession
    | CloseSession
)
"""Commands with one answer, which every transport carries."""

KernelCommand = Annotated[
    SessionCommand | AttachSession | LinesConsumed | DetachSession | Ping, Field(discriminator="type")
]


class _Answer(Model):
    id: str


class SessionCreated(_Answer):
    type: Literal["session.created"] = "session.created"
    session: Session


class SessionsListed(_Answer):
    type: Literal["session.listed"] = "session.listed"
    page: Page[Session]


class SessionViewed(_Answer):
    type: Literal["session.viewed"] = "session.viewed"
    session: SessionView


class InputTaken(_Answer):
    type: Literal["session.input.taken"] = "session.input.taken"
    input: InputAccepted


class SessionChanged(_Answer):
    """The session as it is after an interrupt, resize, restart, activate or close."""

    type: Literal["session.changed"] = "session.changed"
    session: SessionView


class SessionAttached(_Answer):
    """The stream starts behind `after`; `newest` is the newest event there is now."""

    type: Literal["session.attached"] = "session.attached"
    attachment: int
    session: Session
    epoch: int
    after: int
    oldest: int
    newest: int


class SessionDetached(_Answer):
    type: Literal["session.detached"] = "session.detached"
    attachment: int


class Pong(_Answer):
    type: Literal["pong"] = "pong"


class Refused(_Answer):
    """The command was not done."""

    type: Literal["refused"] = "refused"
    error: ErrorEntry


class SessionLines(Model):
    """The head of a binary message: the lines `first` to `last` follow. `end`: the last one is the stream's end."""

    type: Literal["session.lines"] = "session.lines"
    attachment: int
    epoch: int
    first: int
    last: int
    end: bool = False


class SessionHeartbeat(Model):
    """Nothing new came for a while; `newest` is the newest event there is."""

    type: Literal["session.heartbeat"] = "session.heartbeat"
    attachment: int
    newest: int


class AttachmentFailed(Model):
    """The attachment is over without the stream's end: a gap, for one."""

    type: Literal["session.failed"] = "session.failed"
    attachment: int
    error: ErrorEntry


SessionAnswer = SessionCreated | SessionsListed | SessionViewed | InputTaken | SessionChanged

KernelEvent = Annotated[
    SessionAnswer
    | SessionAttached
    | SessionDetached
    | Pong
    | Refused
    | SessionLines
    | SessionHeartbeat
    | AttachmentFailed,
    Field(discriminator="type"),
]


@cache
def commands() -> TypeAdapter[KernelCommand]:
    """Return what reads a command; it is built when it is first used."""
    return TypeAdapter(KernelCommand)


@cache
def events() -> TypeAdapter[KernelEvent]:
    """Return what reads an event."""
    return TypeAdapter(KernelEvent)
