"""What the kernel tells of itself, and how it is asked to stop."""

import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nexus import __version__
from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.host import together
from nexus.kernel.part import Part, Surroundings
from nexus.schemas.kernel import (
    Health,
    KernelMetrics,
    KernelStatus,
    KernelStopping,
    LiveCounts,
    SandboxStatus,
    StopRequest,
)

KIBIBYTE = 1024


class Debug(Part):
    """Health, status, metrics and stop."""

    def __init__(self, surroundings: Surroundings, requests: Counter[str], parts: Sequence[Part]) -> None:
        self.store = surroundings.store
        self.data_folder = surroundings.data_folder
        self.host = surroundings.host
        self.node = surroundings.node
        self.steps = surroundings.steps
        self.holding = surroundings.holding
        self.requests = requests
        self.elsewhere: Callable[[], Awaitable[Mapping[str, int]]] | None = None
        """Counts what other processes of a server answered."""
        self.parts = parts

    def operations(self) -> Sequence[Operation]:
        status = "/api/debug/kernel"
        return (
            Operation(
                *("GET", "/health", "kernel.health", "Say whether the kernel works.", self.health, Health),
                access="public",
            ),
            Operation("GET", status, "debug.kernel.status", "Show the kernel's status.", self.status, KernelStatus),
            Operation(
                *("GET", f"{status}/metrics", "debug.kernel.metrics", "Show counters and sizes."),
                *(self.metrics, KernelMetrics),
            ),
            Operation(
                *("GET", f"{status}/sandbox", "debug.kernel.status.sandbox", "Show what walls off steps of pipelines."),
                *(self.sandbox, SandboxStatus),
                lasts=True,
            ),
            Operation(
                *("POST", f"{status}/stop", "debug.kernel.stop", "Stop or restart the kernel's process."),
                *(self.stop, KernelStopping),
                body=StopRequest,
                body_required=False,
            ),
        )

    async def health(self, request: ApiRequest[None, None]) -> Health:  # noqa: ARG002 -- every operation is given one
        await self.store.read(lambda connection: connection.exec_driver_sql("SELECT 1"))
        node, running = self.node, await self._running()
        full = node.bound is not None and running >= node.bound
        return Health(
            status="ok",
            version=__version__,
            role=node.role,
            host=node.host,
            capacity=node.capacity,
            running=running,
            accepts=not full,
        )

    async def _running(self) -> int:
        """Return how many programs run, as far as their holder says so: health is not the place to wait for it."""
        from nexus.kernel.holder.client import HolderLost

        holder = self.holding.connected
        if holder is None:
            return 0
        try:
            return sum(held.running for held in await holder.programs())
        except (HolderLost, TimeoutError):
            return 0

    async def status(self, request: ApiRequest[None, None]) -> KernelStatus:  # noqa: ARG002 -- see above
        socket = self.host.socket
        return KernelStatus(
            mode=self.host.mode,
            pid=os.getpid(),
            version=__version__,
            started_at=self.host.started_at,
            uptime_seconds=self._uptime(),
            socket=str(socket) if socket else None,
            data_folder=str(self.data_folder),
            database=self.store.name,
            memory_bytes=memory_bytes(),
            live=self._live(),
        )

    async def sandbox(self, request: ApiRequest[None, None]) -> SandboxStatus:  # noqa: ARG002 -- see above
        from nexus.kernel.pipelines.walls import Sandbox

        return await Sandbox(self.steps, self.data_folder).status()

    async def metrics(self, request: ApiRequest[None, None]) -> KernelMetrics:  # noqa: ARG002 -- see above
        requests = Counter(self.requests)
        if self.elsewhere is not None:
            requests.update(await self.elsewhere())
        return KernelMetrics(
            uptime_seconds=self._uptime(),
            requests=dict(sorted(requests.items())),
            memory_bytes=memory_bytes(),
            peak_memory_bytes=peak_memory_bytes(),
            open_files=len(os.listdir("/dev/fd")),
            database_bytes=await self.store.size(),
        )

    async def stop(self, request: ApiRequest[None, StopRequest]) -> KernelStopping:
        self.host.stop(request.body.restart)
        return KernelStopping(pid=os.getpid(), restarts=request.body.restart)

    def _live(self) -> LiveCounts:
        return together([self.host.live(), *(part.live() for part in self.parts)])

    def _uptime(self) -> float:
        return (datetime.now(UTC) - self.host.started_at).total_seconds()


def memory_bytes() -> int:
    """Return this process's resident set size."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import psutil  # 20 ms, and Linux tells by itself

    return int(psutil.Process().memory_info().rss)


def peak_memory_bytes() -> int:
    """Return the largest resident set size that this process had."""
    import resource  # asked for by metrics alone

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIBIBYTE
