"""What stands behind a session of one type: a terminal, a chat, a log. The kernel's parts bring drivers for types."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nexus.schemas.errors import ResourceUnavailable

if TYPE_CHECKING:
    from nexus.kernel.sessions.output import SessionOutput
    from nexus.schemas.session import NewSession, Session


@dataclass(frozen=True, slots=True)
class Audience:
    """Who reads a session now.

    `sole` is set while its only reader is a person at a terminal: the seq that this reader consumed. A program may then
    be held back to a small window ahead of it, so that ^C is felt at once; for everyone else the log is the buffer.
    """

    readers: int
    sole: int | None = None


@dataclass(frozen=True, slots=True)
class GivenInput:
    """One numbered input of one client."""

    client: str
    number: int
    data: bytes


class Driver:
    """One session's driver, made for one epoch. A subclass overrides what its type can do.

    It appends through the output that it was made with, and calls `output.end` exactly once, after the last byte:
    when what it drives ends, or in `close`. `numbers_input` says that what it drives knows by itself which inputs it
    has had, and outlives this process. `busy` says that it must not be left: something is at work that nothing else
    holds.
    """

    numbers_input = False
    busy = True

    async def start(self) -> None:
        """Begin. Raises what makes it impossible; then there is no session."""

    async def resume(self) -> None:
        """Go on after the kernel's process was another: take up what is still there, or end it with `lost`."""
        await self.start()

    async def send(self, given: GivenInput) -> bool:
        """Apply input. Return False when it was applied before."""
        raise ResourceUnavailable.because("This session takes no input.", client=given.client)

    async def interrupt(self) -> None:
        """Interrupt what is at work; the session stays."""

    async def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal's size."""

    def audience(self, audience: Audience) -> None:
        """Learn who reads, whenever that changes. Must not block."""

    async def close(self, reason: str) -> None:
        """End what is driven, and call `output.end` with this reason."""
        raise NotImplementedError

    async def detach(self) -> None:
        """Let go: the kernel closes, and what outlives it goes on."""


DriverFactory = Callable[["SessionOutput"], Driver]
"""Makes the driver of one session. Must not block, nor begin anything."""


async def _nothing() -> None:
    pass


async def _none(_session_type: str, _run_ids: Collection[str]) -> None:
    pass


async def _nobody(new: "NewSession", _session_id: str) -> "Session":
    raise ResourceUnavailable.because(f"Nothing here can open sessions of type {new.type}.", session_type=new.type)


@dataclass(slots=True)
class Drivers:
    """The drivers that the kernel's parts bring, a factory a session type.

    `ready` waits until the sessions of an earlier process are taken up, each with its driver; `at_work` tells the ids
    of those that are not over; `open` makes a session with an id of its maker's, and starts it; `forget` deletes the
    sessions of a type that runs had.
    """

    known: dict[str, DriverFactory] = field(default_factory=dict)
    ready: Callable[[], Awaitable[None]] = field(default=_nothing)
    at_work: Callable[[], Collection[str]] = field(default=tuple)
    open: "Callable[[NewSession, str], Awaitable[Session]]" = field(default=_nobody)
    forget: Callable[[str, Collection[str]], Awaitable[None]] = field(default=_none)
    more: Callable[[str], DriverFactory | None] = field(default=lambda _name: None)
    """Finds the driver of a type that none of the parts brought: a plugin's."""

    def add(self, session_type: str, factory: DriverFactory) -> None:
        """Bring the driver of a type. Raises ValueError when it has one."""
        if session_type in self.known:
            raise ValueError(f"the session type {session_type!r} has a driver already")
        self.known[session_type] = factory

    def get(self, session_type: str) -> DriverFactory:
        """Return the factory of a type. Raises ResourceUnavailable when nobody brought one."""
        factory = self.known.get(session_type) or self.more(session_type)
        if factory is None:
            raise ResourceUnavailable.because(
                f"Nothing here can open sessions of type {session_type}.", session_type=session_type
            )
        return factory
