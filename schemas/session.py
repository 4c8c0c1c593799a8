"""The session object of the Session ABI, and what its operations take and answer."""

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from nexus.schemas.errors import ValidationError
from nexus.schemas.model import MOST_WHOLE, Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery

TransportName = Literal["websocket", "polling", "hybrid", "local"]
SessionStatus = Literal["active", "paused", "closed", "error"]
SessionId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
MOST_INPUT = 1024 * 1024
"""How many characters one input holds at the most."""


class SessionContext(Model):
    """What the session belongs to."""

    project_id: str | None = None
    roadmap_id: str | None = None
    chat_id: str | None = None
    process_id: str | None = None
    server_id: str | None = None
    run_id: str | None = None


class Capabilities(Model):
    """What may be done with the session."""

    send: bool = False
    receive: bool = False
    interrupt: bool = False
    resize: bool = False
    close: bool = False
    restart: bool = False
    stream: bool = False


class Session(Model):
    """A live or ended session. `type` is open: plugins add types.

    Of several live sessions of a type in one context, `active` is the one that commands use which name none; the others
    are `paused`, and go on.
    """

    session_id: str
    type: str
    created_at: Timestamp
    expires_at: Timestamp | None = None
    context: SessionContext = Field(default_factory=SessionContext)
    transport: TransportName
    status: SessionStatus = "active"
    capabilities: Capabilities = Field(default_factory=Capabilities)
    metadata: dict[str, Any] = Field(default_factory=dict)


class SessionView(Session):
    """A session with its stream's place: the epoch, the oldest event that is kept, the newest, and how many read it."""

    epoch: int
    oldest: int
    newest: int
    readers: int = 0


Limit = Annotated[int, Field(ge=-MOST_WHOLE, le=MOST_WHOLE)]


class CallerSurroundings(StrictModel):
    """What a program that a session starts gets of the command that opens it. Used then, never stored, never told.

    `limits` maps `resource.RLIMIT_*` numbers to (soft, hard).
    """

    environment: dict[str, str] = Field(default_factory=dict, repr=False)
    umask: int = Field(default=0o077, ge=0, le=0o777)
    limits: dict[int, tuple[Limit, Limit]] = Field(default_factory=dict)


class NewSession(StrictModel):
    """What makes a session. `options` are the type's own: a terminal's cwd, shell, columns and rows, for one.

    The session closes by itself `expires_seconds` after it was made, and after `idle_seconds` without anybody who
    reads or sends.
    """

    type: str = Field(min_length=1, max_length=100)
    context: SessionContext = Field(default_factory=SessionContext)
    transport: TransportName = "hybrid"
    options: dict[str, Any] = Field(default_factory=dict)
    surroundings: CallerSurroundings | None = None
    expires_seconds: float | None = Field(default=None, gt=0, le=365 * 24 * 3600)
    idle_seconds: float | None = Field(default=None, gt=0, le=365 * 24 * 3600)


class NewTerminal(NewSession):
    """What makes a terminal."""

    type: Literal["terminal"] = "terminal"


class SessionQuery(PageQuery):
    """Without `status`, what has ended is left out unless `include_closed`."""

    type: str | None = None
    status: SessionStatus | None = None
    project_id: str | None = None
    include_closed: bool = False


class SessionInput(StrictModel):
    """Input number `number` of the client `client`, from 1: sent again, it is applied once."""

    client: str = Field(min_length=1, max_length=200)
    number: int = Field(ge=1, le=MOST_WHOLE)
    data: str = Field(max_length=MOST_INPUT)
    encoding: Literal["utf-8", "base64"] = "utf-8"

    @classmethod
    def of(cls, client: str, number: int, data: bytes) -> "SessionInput":
        """Carry bytes, as text where they are text."""
        try:
            return cls(client=client, number=number, data=data.decode())
        except UnicodeDecodeError:
            return cls(client=client, number=number, data=base64.b64encode(data).decode(), encoding="base64")

    def content(self) -> bytes:
        """Return the bytes. Raises ValidationError when they are no base64."""
        if self.encoding == "utf-8":
            return self.data.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(self.data, validate=True)
        except binascii.Error as error:
            raise ValidationError.because(f"The input is no base64: {error}.", field="data") from error


class InputAccepted(Model):
    """The input was applied, now or (`repeated`) when it came before."""

    number: int
    repeated: bool = False


class WindowSize(StrictModel):
    """A terminal's size in characters."""

    columns: int = Field(ge=1, le=10_000)
    rows: int = Field(ge=1, le=10_000)


class Restart(StrictModel):
    """`epoch` is the stream that is to be restarted: where there is a newer one already, nothing is done."""

    epoch: int | None = Field(default=None, le=MOST_WHOLE)


class EventsQuery(StrictModel):
    """A reader's place: events behind `after` of `epoch`, up to `limit`; `wait` seconds for the first of them.

    Without `after` it starts at the oldest that is kept, or with `tail` so many before the newest.
    """

    epoch: int | None = Field(default=None, ge=1, le=MOST_WHOLE)
    after: int | None = Field(default=None, ge=0, le=MOST_WHOLE)
    tail: int | None = Field(default=None, ge=0, le=MOST_WHOLE)
    limit: int | None = Field(default=None, ge=1, le=MOST_WHOLE)
    wait: float = Field(default=0, ge=0, le=60)


class SessionEvents(Model):
    """A piece of a session's stream; `after` is the position behind which it starts, `last` the one it reaches."""

    session_id: str
    epoch: int
    after: int
    last: int
    newest: int
    end: bool
    events: list[dict[str, Any]]
