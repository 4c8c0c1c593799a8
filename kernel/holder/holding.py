"""The kernel's one way to its holder: connected when it is first needed, connected again when it was lost."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING

from nexus.kernel.holder.place import HolderPlace, PlaceUnsafe
from nexus.kernel.holder.refusal import Refused
from nexus.schemas.errors import PermissionDenied, ResourceUnavailable, VersionConflict

if TYPE_CHECKING:
    from nexus.kernel.holder.client import Holder

SWEEP_AFTER = 60.0
"""By then, every session that goes on has claimed its program; what has ended and nobody claims is nobody's."""

log = logging.getLogger("nexus.kernel.holder")


class Holding:
    """Shared by all that hold programs. A program that is claimed is somebody's; the others are swept once ended.

    `sweeps` is for a kernel that takes up its sessions when it starts: one that does not cannot know whose they are.
    """

    def __init__(self, place: HolderPlace, *, sweeps: bool, capacity: int | None = None) -> None:
        """At most `capacity` programs run at once; None bounds them not at all."""
        self.place = place
        self.capacity = capacity
        self._sweeps = sweeps
        self._starting = asyncio.Lock()
        self._holder: Holder | None = None
        self._connecting = asyncio.Lock()
        self._claimed: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def holder(self) -> "Holder":
        """Return the connection; the holder is started where there is none.

        Raises ResourceUnavailable, VersionConflict when an older holder cannot be spoken to, PermissionDenied.
        """
        async with self._connecting:
            if self._closed:
                raise ResourceUnavailable.because("The kernel is closing.")
            if self._holder is None or self._holder.lost is not None:
                self._holder = await self._connect()
            return self._holder

    @property
    def connected(self) -> "Holder | None":
        """The connection, if there is one that works."""
        return self._holder if self._holder is not None and self._holder.lost is None else None

    async def running(self) -> set[str]:
        """The names of the programs that run, by asking a holder that is there; none is started to be asked."""
        if self.connected is None and not self.place.names():
            return set()
        return {held.name for held in await (await self.holder()).programs() if held.running}

    @contextlib.asynccontextmanager
    async def room(self, name: str) -> AsyncIterator[None]:
        """Hold room for a program while it is started. Raises `ResourceUnavailable` when there is none."""
        if self.capacity is None:
            yield
            return
        async with self._starting:
            running = {held.name for held in await (await self.holder()).programs() if held.running}
            if len(running - {name}) >= self.capacity:
                raise ResourceUnavailable.because(
                    f"This node takes {self.capacity} programs, and so many run.",
                    hint="nexus debug process list",
                    capacity=self.capacity,
                    retryable=True,
                )
            yield

    def claim(self, name: str) -> None:
        """Say that the program is needed."""
        self._claimed.add(name)

    def release(self, name: str, after: float = 0.0) -> None:
        """Say that the ended program is not needed any more once some seconds have passed: its spool is deleted."""
        self._background(self._forget(name, after))

    async def close(self) -> None:
        """Let go of the holder. The programs go on."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._holder is not None:
            await self._holder.close()

    async def _connect(self) -> "Holder":
        # asyncio's streams and the rest of it cost a command 10 ms that holds nothing.
        from nexus.kernel.holder.client import Holder
        from nexus.kernel.holder.start import HolderFailed

        try:
            holder = await Holder.open(self.place)
        except PlaceUnsafe as error:
            raise PermissionDenied.because(str(error)) from error
        except Refused as refused:
            raise VersionConflict.because(
                "The process that holds your terminals and programs is of another version.",
                hint="Close them, or wait until they end, then run the command again.",
                **refused.data,
            ) from refused
        except (HolderFailed, OSError) as error:
            raise ResourceUnavailable.because(f"Programs cannot be held: {error}.") from error
        if self._sweeps:
            self._background(self._sweep(holder))
        return holder

    async def _forget(self, name: str, after: float) -> None:
        from nexus.kernel.holder.client import HolderLost

        await asyncio.sleep(after)
        self._claimed.discard(name)
        with contextlib.suppress(HolderLost, TimeoutError, Refused):
            if self.connected is not None:
                await self.connected.forget(name)

    async def _sweep(self, holder: "Holder") -> None:
        from nexus.kernel.holder.client import HolderLost

        await asyncio.sleep(SWEEP_AFTER)
        with contextlib.suppress(HolderLost, TimeoutError):
            ended = [held.name for held in await holder.programs() if not held.running]
            for name in {*ended, *holder.left} - self._claimed:
                with contextlib.suppress(Refused):
                    await holder.forget(name)

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
