"""What carries a session: one command and its answer, or the lines of one attachment. Nothing else.

A transport knows no positions and repeats nothing: `client` decides with the sans-IO core what to ask again. It raises
errors of the kernel as they were told (`NexusError`), and `TransportLost` for everything that the way itself does.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from nexus.schemas.protocol import AttachSession, SessionAnswer, SessionCommand
from nexus.schemas.session import Session, TransportName
from nexus.sessions.core.position import Batch

DEFAULT_WINDOW = 1024 * 1024
"""How many bytes may be on the way to a reader that has not consumed them yet."""


Headers = Callable[[], Awaitable[Mapping[str, str]]]
"""What goes with every connection and request: asked for each time, for what signs in is renewed."""


async def no_headers() -> Mapping[str, str]:
    """Return none."""
    return {}


class TransportLost(Exception):
    """The way to the kernel broke. `sent` is False when the command certainly never left."""

    def __init__(self, reason: str, *, sent: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class TransportUnusable(TransportLost):
    """This way will not work at all: no such route, a proxy that refuses. Another one may."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, sent=False)


@dataclass(frozen=True, slots=True)
class Joined:
    """Where an attachment starts: behind `after` of `epoch`; `newest` is the newest event there was then."""

    session: Session
    epoch: int
    after: int
    oldest: int
    newest: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing came for a while; `newest` is the newest event there is."""

    newest: int


class Channel(Protocol):
    """One attachment. At most its window of lines is held for a reader that does not take them."""

    @property
    def joined(self) -> Joined: ...

    async def receive(self) -> Batch | Heartbeat:
        """Return what comes next. Raises TransportLost, or the error that ended the attachment."""
        ...

    async def consumed(self, seq: int) -> None:
        """Tell that the reader is through with all lines up to `seq`."""
        ...

    async def aclose(self) -> None: ...


class Transport(Protocol):
    """A way to a kernel. Safe for many requests and channels at once."""

    @property
    def name(self) -> TransportName: ...

    async def request(self, command: SessionCommand) -> SessionAnswer:
        """Have one command done and return its answer."""
        ...

    async def attach(self, command: AttachSession) -> Channel:
        """Open a channel."""
        ...

    async def aclose(self) -> None: ...
