"""Many commands over one stdin: a record a line in, an envelope a line out, in the records' order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from nexus.call import Call
from nexus.dispatch.dispatcher import Answer
from nexus.dispatch.runtime import Runtime
from nexus.dispatch.surroundings import configuration_of
from nexus.exec.collect import collected
from nexus.exec.record import Record, records, request_of
from nexus.exec.runner import Runner
from nexus.output.log import log_line
from nexus.output.render import json_line
from nexus.schemas.command import GlobalFlags
from nexus.schemas.envelope import failure, new_request_id
from nexus.schemas.errors import Interrupted, NexusError
from nexus.schemas.stream import STOP_STATUS, Lines, StopReason

MOST_HELD_BYTES = 256 * 1024
"""How much is held for a printer that is slower than the commands."""
PRINTED_AT_BYTES = 32 * 1024
PRINTED_AT_SECONDS = 0.005
"""Envelopes are printed together while more are on their way: to hand each over costs a quarter of a command."""
_AHEAD = 16
"""By how many commands a slow one may be overtaken, for each that runs at a time."""
_CLEANUP_SECONDS = 2.0


class Batch:
    """The envelopes of the records on a call's stdin, `parallel` commands at a time.

    With `stop_on_error` nothing begins after a command failed; what had begun is finished and told. The exit status
    is 0, or that of the first failure in the records' order.
    """

    def __init__(self, call: Call, flags: GlobalFlags, runtime: Runtime, *, parallel: int, stop_on_error: bool) -> None:
        self._call = call
        self._runner = Runner(call, flags, runtime)
        self._seconds = float(configuration_of(runtime, call, flags).get("runtime.timeout").value)
        self._stop_on_error = stop_on_error
        self._parallel = parallel
        self._records = records(call)
        self._taking = asyncio.Lock()
        self._ahead = asyncio.Semaphore(parallel * _AHEAD)
        self._begun: asyncio.Queue[asyncio.Future[Answer] | None] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []
        self._working = parallel
        self._ending = False
        self._stopped: StopReason | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._printable = asyncio.Event()
        self._due: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._status = 0

    @property
    def exit_status(self) -> int:
        """0, the first failure's, or what the reason to stop gives."""
        return STOP_STATUS[self._stopped] if self._stopped else self._status

    async def __aiter__(self) -> AsyncIterator[Lines]:
        work = self._work = asyncio.create_task(self._run())
        work.add_done_callback(lambda _: self._printable.set())
        printed = 0
        while self._held or not work.done():
            await self._printable.wait()
            self._printable.clear()
            if self._due is not None:
                self._due.cancel()
                self._due = None
            lines, self._held, self._held_bytes = self._held, [], 0
            self._room.set()
            if lines:
                printed += len(lines)
                yield Lines(b"".join(lines), printed)
        work.result()

    def stop(self, reason: StopReason) -> None:
        """End the commands that run: each tells that it was interrupted, and nothing begins any more."""
        self._stopped = reason
        self._ending = True
        for worker in self._workers:
            worker.cancel()

    async def aclose(self) -> None:
        """Cancel what runs."""
        if self._work is not None and not self._work.done():
            self._work.cancel()
            await asyncio.wait((self._work,), timeout=_CLEANUP_SECONDS)

    async def _run(self) -> None:
        self._workers = [asyncio.create_task(self._work_off()) for _ in range(self._parallel)]
        try:
            while (answer := await self._begun.get()) is not None:
                await self._tell(await answer)
                self._ahead.release()
            for worker in self._workers:
                with suppress(asyncio.CancelledError):
                    await worker
        finally:
            for worker in self._workers:
                worker.cancel()
            await asyncio.wait(self._workers, timeout=_CLEANUP_SECONDS)

    async def _work_off(self) -> None:
        """Answer one record after the other. A command that waits for nothing costs no turn of the loop."""
        try:
            while (begun := await self._next()) is not None:
                record, answer = begun
                try:
                    answer.set_result(await self._answer(record))
                except BaseException as fault:
                    answer.cancel() if isinstance(fault, asyncio.CancelledError) else answer.set_exception(fault)
                    raise
        finally:
            self._working -= 1
            if not self._working:
                self._begun.put_nowait(None)

    async def _next(self) -> "tuple[Record, asyncio.Future[Answer]] | None":
        """Take the next record, and a place for its answer behind those of the records before it."""
        async with self._taking:
            await self._ahead.acquire()
            record = None if self._ending else await anext(self._records, None)
            if record is None or self._ending:
                return None
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._begun.put_nowait(answer)
            return record, answer

    async def _answer(self, record: Record) -> Answer:
        try:
            answer = await self._run_one(record)
        except asyncio.CancelledError:
            if self._stopped is None:
                raise
            answer = Answer(failure([Interrupted().entry()], new_request_id()))
        if self._stop_on_error and answer.exit_status:
            self._ending = True
        return answer

    async def _run_one(self, record: Record) -> Answer:
        try:
            request = request_of(record)
        except NexusError as error:
            return Answer(failure(error.entries(), new_request_id()))
        answer, request_id = await self._runner.run(request)
        if isinstance(answer, Answer):
            return answer
        return await collected(answer, self._call, request_id, self._seconds)

    async def _tell(self, answer: Answer) -> None:
        self._status = self._status or answer.exit_status
        for warning in answer.warnings:
            await self._call.stderr.write(log_line("warning", warning, answer.envelope.request_id))
        for detail in answer.details:
            await self._call.stderr.write(log_line("debug", detail, answer.envelope.request_id))
        line = json_line(answer.envelope)
        self._held.append(line)
        self._held_bytes += len(line)
        if self._begun.empty() or self._held_bytes >= PRINTED_AT_BYTES:
            self._printable.set()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(PRINTED_AT_SECONDS, self._printable.set)
        if self._held_bytes > MOST_HELD_BYTES:
            self._room.clear()
            await self._room.wait()
