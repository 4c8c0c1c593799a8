"""What pushing and pulling have in common: what has moved, when it is tried again, and who watches."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Literal, TypeVar

from nexus.schemas.command import ExecutionContext
from nexus.schemas.errors import BackendError, BackendUnavailable, NexusError, TimeoutExceeded, TransferBroken
from nexus.schemas.wire import ByteWire
from nexus.sessions.backoff import Backoff

Direction = Literal["push", "pull"]
State = Literal["connecting", "connected", "responding", "idle", "closed"]
Result = TypeVar("Result")
Value = TypeVar("Value")

CHUNK = 1024 * 1024
WATCH_SECONDS = 0.1
MOST_FAILURES = 10
"""So often in a row, without a byte that got through between two of them, something is tried."""
BACKOFF = Backoff(first=0.1, most=3.0)


class Stopped(Exception):
    """The command ends, and its threads with it."""


class Meter:
    """How far a transfer is. Written by its threads, read by whoever watches; each part by one thread at a time."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.total = 0
        self.state: State = "connecting"
        self.trouble: str | None = None
        self._settled = 0
        self._moving: dict[int, int] = {}

    @property
    def done(self) -> int:
        """How many bytes are through."""
        return self._settled + sum(list(self._moving.values()))

    def settle(self, size: int, key: int | None = None) -> None:
        """Count bytes that have arrived for good; `key` is what they were counted under while they moved."""
        if key is not None:
            self._moving.pop(key, None)
        self._settled += size

    def move(self, key: int, size: int) -> None:
        """Say how many bytes of something are on their way."""
        self._moving[key] = size

    def restart(self) -> None:
        """Begin again: what was counted is void."""
        self._settled = 0
        self._moving.clear()


class Transfer(ABC, Generic[Result]):
    """Bytes that are moved for one command. Its threads look at `stop` between two chunks."""

    direction: Direction

    def __init__(self, context: ExecutionContext[Any], label: str) -> None:
        self.context = context
        self.meter = Meter(label)
        self.stop = threading.Event()
        self.begun = asyncio.Event()
        self._wire: ByteWire | None = None
        self._wires: list[ByteWire] = []
        self._ask_seconds = float(context.config.get("data.stall").value)

    async def run(self) -> Result:
        """Move the bytes. Raises what cannot be mended by trying again."""
        try:
            return await self._run()
        finally:
            self.stop.set()
            self.meter.state = "closed"
            for wire in self._wires:
                wire.close()

    def begin(self) -> None:
        """Say that what was asked for can be done: from now on bytes move."""
        self.meter.state = "connected"
        self.begun.set()

    @abstractmethod
    async def _run(self) -> Result: ...

    async def wire(self) -> ByteWire:
        """Return the wire; a new one where that led nowhere: the local kernel may have another owner by now."""
        if self._wire is None:
            if self.context.bytes is None:
                raise BackendUnavailable.because("There is no way for bytes here.")
            self._wire = await self.context.bytes.wire()
            self._wires.append(self._wire)
        return self._wire

    async def patiently(self, work: Callable[[], Awaitable[Value]], *, moved: Callable[[], int] = lambda: 0) -> Value:
        """Do it, again and again while it fails in a way that may pass; any byte that moves makes us patient anew.

        It must be something that does no harm when it is done twice.
        """
        failures, before = 0, moved()
        while True:
            try:
                result = await work()
            except NexusError as error:
                if not may_pass(error):
                    raise
                failures = 1 if moved() > before else failures + 1
                before = moved()
                if failures > MOST_FAILURES:
                    raise _given_up(error) from error
                self.meter.state, self.meter.trouble = "idle", str(error)
                if error.entry().code == BackendUnavailable.code:
                    self._wire = None
                await asyncio.sleep(BACKOFF.delay(failures))
            else:
                self.meter.state, self.meter.trouble = "responding", None
                return result

    async def within(self, work: Callable[[], Awaitable[Value]]) -> Value:
        """Ask the API for something, and wait no longer than a stalled transfer would be waited for."""
        try:
            async with asyncio.timeout(self._ask_seconds):
                return await work()
        except TimeoutError:
            raise TimeoutExceeded(seconds=self._ask_seconds) from None

    async def ask(self, work: Callable[[], Awaitable[Value]]) -> Value:
        """Ask the API, patiently, for something that does no harm when it is asked twice."""
        return await self.patiently(lambda: self.within(work))

    async def in_thread(self, work: Callable[..., Value], *args: Any, **more: Any) -> Value:
        """Run what blocks. When we are cancelled it is stopped and waited for: what it uses must not be taken away."""
        task = asyncio.ensure_future(asyncio.to_thread(work, *args, **more))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.stop.set()
            await asyncio.wait((task,))
            raise


def may_pass(error: NexusError) -> bool:
    """Say whether the same may succeed a moment later: what was told, if anything, is not true of the thing itself."""
    return error.entry().code in PASSING or type(error) is BackendError


PASSING = frozenset(
    {
        *("BACKEND_UNAVAILABLE", "OUTCOME_UNKNOWN", "RATE_LIMITED", "STORAGE_LOCKED", "TIMEOUT", "TRANSFER_BROKEN"),
        *("TRANSFER_BUSY", "URL_EXPIRED"),
    }
)


def _given_up(error: NexusError) -> NexusError:
    return TransferBroken.because(f"It was tried {MOST_FAILURES} times: {error}", cause=error.entry().code)


async def watched(transfer: Transfer[Result]) -> Result:
    """Run a transfer, shown to a person if one watches. When we are cancelled, it is over too."""
    progress, meter = transfer.context.progress, transfer.meter
    running = asyncio.create_task(transfer.run())
    try:
        while progress is not None and not running.done():
            if meter.total:
                await progress.tell(meter.label, meter.done, meter.total)
            await asyncio.wait((running,), timeout=WATCH_SECONDS)
        result = await running
        if progress is not None:
            await progress.tell(meter.label, meter.total, meter.total)
        return result
    finally:
        transfer.stop.set()
        running.cancel()
        await asyncio.wait((running,))
        if progress is not None:
            await progress.end()
