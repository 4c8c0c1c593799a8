"""The driver of a debug-stream that samples a process: one event a sample, until the process ends."""

import asyncio
import contextlib

import psutil

from nexus.kernel.processes import table
from nexus.kernel.processes.known import KnownProcesses
from nexus.kernel.sessions.driver import Driver
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.errors import NotFound
from nexus.schemas.process import MonitorOptions
from nexus.sessions import lines

FIRST_PAUSE = 0.1
"""Processor time is a difference of two looks: the first sample has so much of it."""


class MonitorDriver(Driver):
    """Samples one process."""

    busy = False

    def __init__(self, output: SessionOutput, options: MonitorOptions, known: KnownProcesses) -> None:
        self.output = output
        self._options = options
        self._known = known
        self._task: asyncio.Task[None] | None = None
        self._ending = False

    async def start(self) -> None:
        process = await self._known.process(self._options.monitor)
        await self.output.describe(source=f"process {process.pid}", process=table.reference_of(process))
        await self.output.status("connected", f"Sampling process {process.pid}.")
        self._begin(process)

    async def resume(self) -> None:
        try:
            self._begin(await self._known.process(self.output.session.metadata["process"]))
        except NotFound:
            await self.output.end("exited")

    def _begin(self, process: psutil.Process) -> None:
        self._task = asyncio.create_task(self._sample(process), name=f"monitor {process.pid}")

    async def close(self, reason: str) -> None:
        await self.detach()
        await self.output.end(reason)

    async def detach(self) -> None:
        if self._task is not None:
            if not self._ending:  # an end that is begun is finished
                self._task.cancel()
            await asyncio.wait([self._task])

    async def _sample(self, process: psutil.Process) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        left = self._options.samples
        reason = "exited"
        with contextlib.suppress(psutil.NoSuchProcess):
            process.cpu_percent()
            pause = min(FIRST_PAUSE, self._options.interval_seconds)
            while True:
                due = max(due + pause, loop.time())
                await asyncio.sleep(due - loop.time())
                sample = await asyncio.to_thread(table.sampled, process, self._options.monitor)
                if sample.state == "zombie":
                    break
                await self.output.append([lines.payload(sample.model_dump(mode="json", by_alias=True))])
                left = None if left is None else left - 1
                if left == 0:
                    reason = "limit"
                    break
                pause = self._options.interval_seconds
        self._ending = True
        await self.output.end(reason)
