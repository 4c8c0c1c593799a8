"""The workers of a server: started, started again when they end, counted together, stopped.

They share the listening socket with the process that owns the kernel. What they do not answer by themselves comes in at
a socket which that process serves beside it.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nexus.kernel.server.access_log import AccessLog
from nexus.kernel.server.assignment import METRICS, MOST_LINE, SAYS, STOP, Assignment, Said
from nexus.kernel.server.face import NetworkFace, trusting
from nexus.kernel.server.forward import FromWorkers
from nexus.kernel.server.metrics import Metrics, gauge
from nexus.kernel.server.server import MOST_CONNECTIONS, Server
from nexus.kernel.server.shared import SharedMemory
from nexus.schemas.errors import ResourceUnavailable

BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from nexus.kernel.server.worker import main; main()"
READY_SECONDS = 60.0
COUNT_SECONDS = 2.0
STOP_SECONDS = 2.0
FIRST_DELAY = 0.1
LONGEST_DELAY = 30.0
"""A worker that ends again and again is started again after longer and longer, up to this."""
STEADY_SECONDS = 30.0
"""One that lived so long is as good as new."""


class Process:
    """One worker that runs."""

    def __init__(self, number: int, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self.number = number
        self.pid = process.pid
        self.said = Said()
        self.ready = asyncio.Event()
        self._process = process
        self._socket = control
        self._counted = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, assignment: Assignment, log: AccessLog) -> int:
        """Hear the worker to its end; return its exit status."""
        heard, self._writer = await asyncio.open_connection(sock=self._socket, limit=MOST_LINE)
        self._writer.write(assignment.model_dump_json(by_alias=True).encode() + b"\n")
        try:
            while line := await heard.readline():
                if line.startswith(SAYS):
                    self._take(Said.model_validate_json(line[len(SAYS) :]))
                else:
                    log.relay(line)
        except (ConnectionError, ValueError):
            # It was killed in the middle of a line.
            self.kill()
        finally:
            self._counted.set()
            self._writer.close()
        return await self._process.wait()

    def _take(self, said: Said) -> None:
        if said.ready:
            self.ready.set()
        if said.metrics is not None:
            self.said = said
            self._counted.set()

    async def count(self) -> Said:
        """Return what it has counted, or what it said last when it is slow to say."""
        if self.ready.is_set():
            self._counted.clear()
            self._tell(METRICS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._counted.wait(), COUNT_SECONDS)
        return self.said

    def stop(self) -> None:
        """Ask it to finish what is under way, and end."""
        self._tell(STOP)

    def kill(self) -> None:
        """End it."""
        if self._process.returncode is None:
            # asyncio's own kill looks for the status first, and takes it from who waits for it.
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _tell(self, line: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(line)


class Workers:
    """So many workers, and the socket at which the owner serves them. Takes `listening` and `private` over."""

    def __init__(
        self,
        count: int,
        assignment: Assignment,
        memory: SharedMemory,
        private: socket.socket,
        face: NetworkFace,
        log: AccessLog,
    ) -> None:
        self._assignment = assignment
        self._memory = memory
        self._log = log
        self._face = face
        self._gone = Metrics()
        self._restarts = 0
        self._stopping = False
        self._running: dict[int, Process] = {}
        self._keeping: list[asyncio.Task[None]] = []
        self._numbers = range(1, count + 1)
        app = FromWorkers(trusting(face, assignment.options.proxies))
        self._server = Server(app, private, assignment.options, connections=MOST_CONNECTIONS * (count + 1))
        self._serving: asyncio.Task[None] | None = None
        face.whole = self._whole

    async def start(self) -> None:
        """Start them all; return when each takes requests. Raises `ResourceUnavailable`; then they are to be closed."""
        self._serving = asyncio.create_task(self._server.serve())
        first = [asyncio.Event() for _ in self._numbers]
        self._keeping = [
            asyncio.create_task(self._keep(number, ready)) for number, ready in zip(self._numbers, first, strict=True)
        ]
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.gather(*(ready.wait() for ready in first))
        except TimeoutError:
            raise ResourceUnavailable.because(f"The workers did not start within {READY_SECONDS:g} seconds.") from None
        if sum(process.ready.is_set() for process in self._running.values()) < len(first):
            raise ResourceUnavailable.because("A worker of the server ended as it was started.")

    def stop(self) -> None:
        """Take no more, finish what is under way."""
        self._stopping = True
        self._server.stop()
        for process in self._running.values():
            process.stop()

    async def close(self) -> None:
        """Stop, and wait for the end of all, for a bounded time."""
        self.stop()
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=STOP_SECONDS)
        for process in self._running.values():
            process.kill()
        for task in self._keeping:
            task.cancel()
        waited = {*self._keeping, *((self._serving,) if self._serving else ())}
        if waited:
            await asyncio.wait(waited, timeout=STOP_SECONDS)
        os.close(self._assignment.listening)
        self._memory.close()

    async def _keep(self, number: int, first: asyncio.Event) -> None:
        """Have one worker run, until the end."""
        loop, delay = asyncio.get_running_loop(), FIRST_DELAY
        while not self._stopping:
            begun = loop.time()
            try:
                process = await self._begin(number)
                watching = asyncio.create_task(_pass_on(process.ready, first))
                status = await process.run(self._assignment, self._log)
                watching.cancel()
            except OSError as error:
                self._log.tell({"worker": number, "reason": str(error)}, "error", "A worker could not be started.")
            else:
                self._running.pop(number, None)
                if process.said.metrics is not None:
                    self._gone.add(process.said.metrics, alive=False)
                if self._stopping:
                    return
                facts = {"worker": number, "pid": process.pid, "status": status}
                self._log.tell(facts, "warning", "A worker ended; another takes its place.")
            if not first.is_set():
                # Never ready once: what starts the server is told.
                first.set()
                return
            self._restarts += 1
            delay = FIRST_DELAY if loop.time() - begun > STEADY_SECONDS else min(delay * 2, LONGEST_DELAY)
            await asyncio.sleep(delay)

    async def _begin(self, number: int) -> Process:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-X", "utf8", "-c", BOOT, json.dumps(_search_path())),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(self._assignment.listening, self._assignment.memory),
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                cwd="/",
                umask=0o077,
                start_new_session=True,
            )
        begun = self._running[number] = Process(number, process, ours)
        return begun

    async def answered(self) -> Counter[str]:
        """Return how often each operation was answered by workers."""
        counted = await asyncio.gather(*(process.count() for process in list(self._running.values())))
        found: Counter[str] = Counter()
        for metrics in (self._gone.told(), *(said.metrics for said in counted)):
            for _, operation, _, count in metrics["requests"] if metrics else ():
                found[operation] += count
        return found

    async def _whole(self) -> tuple[Metrics, list[str]]:
        """Return what all processes have counted, and what is told of the workers alone."""
        whole = Metrics()
        whole.started = self._face.metrics.started
        whole.add(self._face.metrics.told())
        whole.add(self._gone.told())
        processes = list(self._running.values())
        counted = await asyncio.gather(*(process.count() for process in processes))
        for said in counted:
            if said.metrics is not None:
                whole.add(said.metrics)
        return whole, [*self._gauges(sum(said.memory_bytes for said in counted))]

    def _gauges(self, memory: int) -> Iterator[str]:
        ready = sum(process.ready.is_set() for process in self._running.values())
        yield from gauge("nexus_workers", "Worker processes beside the kernel's own.", ready)
        yield from gauge("nexus_workers_memory_bytes", "Resident memory of the workers together.", memory)
        yield "# HELP nexus_worker_restarts_total Workers that ended and were started again."
        yield "# TYPE nexus_worker_restarts_total counter"
        yield f"nexus_worker_restarts_total {self._restarts}"


async def _pass_on(one: asyncio.Event, other: asyncio.Event) -> None:
    await one.wait()
    other.set()


def _search_path() -> list[str]:
    """Return where modules are found, our own package last if nothing else leads to it."""
    whole = sys.modules[__name__.partition(".")[0]]
    own = str(Path(str(whole.__file__)).absolute().parent.parent)
    return [path for path in sys.path if path] + ([own] if own not in sys.path else [])
