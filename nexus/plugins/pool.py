"""The workers of a process: each does one thing at a time, is used again, and is left when its plugin changed."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from nexus.plugins.process import Worker, WorkerSpec
from nexus.schemas.errors import PluginError

MOST_WORKERS = 8
"""How many of one plugin run at a time; who comes later waits."""
IDLE_SECONDS = 60.0
CLOSE_SECONDS = 3.0


class WorkerPool:
    """Workers by what they were started with. `close` ends them all."""

    def __init__(self) -> None:
        self._idle: dict[str, list[Worker]] = {}
        self._busy: dict[str, set[Worker]] = {}
        self._room: dict[str, asyncio.Semaphore] = {}
        self._timers: dict[Worker, asyncio.TimerHandle] = {}
        self._retired: set[Worker] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self.held: dict[str, tuple[Worker, Any]] = {}
        """Workers that are kept as they are, with what they answered, by what they were asked."""

    @asynccontextmanager
    async def borrow(self, spec: WorkerSpec, *, waits: bool = True) -> AsyncIterator[Worker]:
        """Lend a worker for one request. One that was left in the middle of it is ended, and not used again.

        Where all that may be are at work it `waits`, or raises `PluginError`.
        """
        room = self._room.setdefault(spec.plugin, asyncio.Semaphore(MOST_WORKERS))
        if not waits and room.locked():
            raise PluginError.because(f"All workers of the plugin {spec.plugin} are at work.", plugin=spec.plugin)
        async with room:
            worker = self._take(spec) or await Worker.start(spec)
            busy = self._busy.setdefault(spec.plugin, set())
            busy.add(worker)
            try:
                yield worker
            finally:
                clean = worker not in self._retired and not worker.working
                busy.discard(worker)
                self._retired.discard(worker)
                worker.printed = None
                if clean and worker.alive:
                    self._rest(worker)
                else:
                    self._end(worker)

    def count(self, plugin: str) -> int:
        """Return how many workers of a plugin there are."""
        idle = sum(worker.spec.plugin == plugin for workers in self._idle.values() for worker in workers)
        return idle + len(self._busy.get(plugin, ()))

    def retire(self, plugin: str) -> int:
        """End a plugin's idle workers now, and the others after what they do; return how many there were."""
        count = self.count(plugin)
        for workers in list(self._idle.values()):
            for worker in [each for each in workers if each.spec.plugin == plugin]:
                self._forget(worker)
                self._end(worker)
        self._retired |= self._busy.get(plugin, set())
        for key in [key for key, (worker, _) in self.held.items() if worker.spec.plugin == plugin]:
            self._end(self.held.pop(key)[0])
        return count

    async def close(self) -> None:
        """End every worker, those last that were given a moment to let go of what they hold."""
        if self._ending:
            await asyncio.wait(self._ending, timeout=CLOSE_SECONDS)
        everyone = [worker for workers in self._idle.values() for worker in workers]
        everyone += [worker for workers in self._busy.values() for worker in workers]
        for timer in self._timers.values():
            timer.cancel()
        self._idle.clear()
        for worker in everyone:
            self._end(worker)
        while self._ending:
            await asyncio.wait(self._ending)

    def _take(self, spec: WorkerSpec) -> Worker | None:
        """Return an idle worker of this key; those of the plugin with an older key of the same place are ended."""
        for workers in list(self._idle.values()):
            for worker in list(workers):
                if worker.spec.folder == spec.folder and worker.spec.setup["signature"] != spec.setup["signature"]:
                    self._forget(worker)
                    self._end(worker)
        workers = self._idle.get(spec.key, [])
        while workers:
            worker = workers[-1]
            self._forget(worker)
            if worker.alive:
                return worker
            self._end(worker)
        return None

    def _rest(self, worker: Worker) -> None:
        self._idle.setdefault(worker.spec.key, []).append(worker)
        loop = asyncio.get_running_loop()
        self._timers[worker] = loop.call_later(IDLE_SECONDS, self._expire, worker)

    def _expire(self, worker: Worker) -> None:
        self._forget(worker)
        self._end(worker)

    def _forget(self, worker: Worker) -> None:
        timer = self._timers.pop(worker, None)
        if timer is not None:
            timer.cancel()
        workers = self._idle.get(worker.spec.key, [])
        if worker in workers:
            workers.remove(worker)
        if not workers:
            self._idle.pop(worker.spec.key, None)

    def _end(self, worker: Worker) -> None:
        """End a worker without waiting for it: whoever is cancelled must not be held."""
        self.later(worker.kill())

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Have work done that nobody waits for but `close`."""
        task = asyncio.get_running_loop().create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
