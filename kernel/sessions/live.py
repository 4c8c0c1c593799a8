"""A session that is at work: its record, its driver, its readers, its inputs."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nexus.kernel.sessions.attachment import Attachment
from nexus.kernel.sessions.driver import Audience, Driver
from nexus.kernel.sessions.input import SessionInputs
from nexus.kernel.sessions.output import SessionOutput
from nexus.kernel.sessions.record import Record


@dataclass(slots=True)
class LiveSession:
    """`turn` is held while the session starts, restarts or closes. `touched` is when it was last used (monotonic)."""

    record: Record
    output: SessionOutput
    driver: Driver
    inputs: SessionInputs
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    readers: set[Attachment] = field(default_factory=set)
    touched: float = field(default_factory=time.monotonic)
    ended: bool = False
    _audience: Audience = field(default_factory=lambda: Audience(0))

    def touch(self) -> None:
        self.touched = time.monotonic()

    @property
    def idle(self) -> bool:
        """Whether nobody read or sent for longer than the session allows."""
        limit = self.record.idle_seconds
        return limit is not None and not self.readers and time.monotonic() - self.touched > limit

    @property
    def expired(self) -> bool:
        expires = self.record.session.expires_at
        return expires is not None and expires <= datetime.now(UTC)

    def tell_audience(self) -> None:
        """Tell the driver who reads, when that changed."""
        sole = next(iter(self.readers)) if len(self.readers) == 1 else None
        seen = sole.seen if sole is not None and sole.interactive else None
        audience = Audience(len(self.readers), seen)
        if audience != self._audience:
            self._audience = audience
            self.driver.audience(audience)
