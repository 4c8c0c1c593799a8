"""Ends the step that fills the disk: on a full one nothing is written down, neither an end nor that one is wanted."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from nexus.kernel.pipelines.folders import RunFolders

LOOK_SECONDS = 2.0

Watched = tuple[str, str, int]
"""A run, a step of it, and the attempt's number."""

log = logging.getLogger("nexus.kernel.pipelines")


class Crowding:
    """Looks every few seconds while attempts are watched. Where next to nothing is free, the one ends that has most."""

    def __init__(self, folders: RunFolders) -> None:
        self._folders = folders
        self._watched: dict[Watched, asyncio.Event] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def watched(self, run_id: str, step: str, attempt: int) -> Iterator[asyncio.Event]:
        """Watch an attempt; the event is set when it is to end. No other one is chosen before this one is through."""
        key = (run_id, step, attempt)
        self._watched[key] = asyncio.Event()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="the disk of steps")
        try:
            yield self._watched[key]
        finally:
            del self._watched[key]
            if not self._watched and self._looking is not None:
                self._looking.cancel()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if not any(event.is_set() for event in self._watched.values()):
                    await self._choose()
            except OSError:
                log.exception("whether steps fill the disk is not known")

    async def _choose(self) -> None:
        free = await asyncio.to_thread(self._folders.short)
        if free is None:
            return
        sizes = {key: await asyncio.to_thread(self._folders.size, *key) for key in list(self._watched)}
        largest = max(sizes, key=sizes.__getitem__, default=None)
        # Where steps have little, others fill the disk.
        if largest is not None and sizes[largest] > free and largest in self._watched:
            log.warning("%s bytes are free, and the step %s of run %s has %s", free, *largest[1::-1], sizes[largest])
            self._watched[largest].set()
