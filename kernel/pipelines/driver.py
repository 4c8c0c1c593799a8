"""The driver of a run's session: it claims the run, keeps its lease, sees its steps to their end, and ends the stream.

The database owns the truth. This kernel may die at any moment: the next one claims the run again and goes on. One that
finds that another kernel has the run ends its own programs and the stream, and writes nothing of the run.
"""

import asyncio
import logging
from collections.abc import MutableMapping
from contextlib import suppress

from nexus.kernel.pipelines.ledger import Claim, Fenced, is_over
from nexus.kernel.pipelines.means import Means
from nexus.kernel.pipelines.progress import Progress, discard_strays
from nexus.kernel.pipelines.work import lasting
from nexus.kernel.sessions.driver import Driver
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.errors import Conflict, InternalError, NexusError, SessionClosed
from nexus.schemas.run import RunStatus

RENEW_SECONDS = 15.0
ENDING_SECONDS = 20.0
"""So long a run that goes on waits for the end of the session that it had."""
DETACH_SECONDS = 2.0
"""So long a kernel that closes sees to the end of a run that is being cancelled; the next one does what is left."""

log = logging.getLogger("nexus.kernel.pipelines")


class RunDriver(Driver):
    """One run under way. `at_work` has the drivers of this kernel, by their runs' ids."""

    def __init__(
        self,
        output: SessionOutput,
        means: Means,
        at_work: MutableMapping[str, "RunDriver"],
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        self._output = output
        self._means = means
        self._at_work = at_work
        self._renew_seconds = renew_seconds
        self._run_id = output.session.context.run_id or ""
        # From here on, so that nobody else takes up the run of a session that is just being taken up.
        at_work.setdefault(self._run_id, self)
        self._session_id = output.session.session_id
        self._stirred = asyncio.Event()
        self._begun = asyncio.Event()
        self._wanted_over = False
        self._progress: Progress | None = None
        self._task: asyncio.Task[None] | None = None

    # -- the driver's face

    async def start(self) -> None:
        await self._alone()
        try:
            self._begin(await self._claimed())
        except BaseException:
            self._let_go()
            raise

    async def resume(self) -> None:
        self._begin(None)

    async def ended(self, seconds: float | None = None) -> None:
        """Wait until nothing of it is at work any more, at most so long."""
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=seconds)

    async def begun(self, seconds: float) -> None:
        """Wait until a program of the run is with the holder, where it goes on by itself, or has to wait for others."""
        if self._task is None:
            return
        begun = asyncio.create_task(self._begun.wait())
        await asyncio.wait((self._task, begun), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()

    def look(self) -> None:
        """Look now what the run's row says."""
        self._stirred.set()

    async def interrupt(self) -> None:
        """Have the run cancelled. Returns before it is."""
        self._wanted_over = True
        self.look()

    async def close(self, reason: str) -> None:  # noqa: ARG002 -- the stream tells how the run ended
        await self.interrupt()
        await self.ended()

    async def detach(self) -> None:
        if self._task is None:
            return
        if self._wanted_over or (self._progress is not None and self._progress.cancelling.is_set()):
            await self.ended(DETACH_SECONDS)
        self._task.cancel()
        await asyncio.wait((self._task,))

    # -- within

    def _begin(self, claim: Claim | None) -> None:
        self._task = asyncio.create_task(self._coordinate(claim), name=f"run {self._run_id}")

    def _let_go(self) -> None:
        if self._at_work.get(self._run_id) is self:
            del self._at_work[self._run_id]

    async def _coordinate(self, claim: Claim | None) -> None:
        try:
            if not await self._seen_through(claim or await lasting(self._claimed_again)):
                await self._leave()
        except Exception as error:
            log.exception("run %s broke off", self._run_id)
            await self._break_off(error)
        finally:
            self._let_go()

    async def _seen_through(self, claim: Claim | None) -> bool:
        """See a run to its end; False when it is not this kernel's, or is not any more."""
        if claim is None:
            return False
        try:
            await self._see(claim)
        except Fenced:
            return False
        return True

    async def _alone(self) -> None:
        """Wait for the session that the run had before, which is ending. Raises `Conflict` for one that is not."""
        other = self._at_work.get(self._run_id)
        if other is not None and other is not self:
            await other.ended(ENDING_SECONDS)
        if self._at_work.setdefault(self._run_id, self) is not self:
            raise Conflict.because(f"The run {self._run_id} is at work already.", run_id=self._run_id)

    async def _claimed(self) -> Claim:
        """Claim the run. Raises `Conflict`, storage errors."""
        claim = await self._means.ledger.claim(self._run_id, self._session_id)
        if claim is None:
            raise Conflict.because(
                f"The run {self._run_id} is over, or another kernel has it.",
                hint=f"nexus pipeline run status {self._run_id}",
                run_id=self._run_id,
            )
        return claim

    async def _claimed_again(self) -> Claim | None:
        """Claim what an earlier process of this kernel had; None for what another session or kernel has since."""
        if self._at_work.get(self._run_id) is not self:
            return None
        row = await self._means.ledger.row(self._run_id)
        if row is None or (row.kernel == self._means.ledger.kernel and row.session_id != self._session_id):
            return None
        return await self._means.ledger.claim(self._run_id, self._session_id)

    async def _see(self, claim: Claim) -> None:
        """See a claimed run to its end. Raises `Fenced`."""
        progress = self._progress = Progress(self._means, claim, self._output, self._begun)
        await self._output.describe(definition=claim.row.pipeline_name)
        working = asyncio.create_task(progress.run())
        keeping = asyncio.create_task(self._keep(claim, progress))
        try:
            await asyncio.wait((working, keeping), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await keeping
            await working
            status, reason = progress.verdict
            await lasting(lambda: self._means.ledger.finish(claim.hold, status, reason))
        finally:
            for task in (working, keeping):
                task.cancel()
            # What either says when all is over is of no interest.
            await asyncio.gather(working, keeping, return_exceptions=True)
        await self._end(status)

    async def _keep(self, claim: Claim, progress: Progress) -> None:
        """Renew the lease, and look whether the run is to be cancelled. Raises `Fenced`."""
        while True:
            if self._wanted_over and not progress.cancelling.is_set():
                await lasting(lambda: self._means.ledger.cancel(claim.hold))
            if await lasting(lambda: self._means.ledger.renew(claim.hold)) == "cancelling":
                progress.cancelling.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), self._renew_seconds)
            self._stirred.clear()

    # -- ends

    async def _end(self, status: RunStatus) -> None:
        if status == "succeeded":
            await asyncio.to_thread(self._means.folders.remove, self._run_id)
        await self._let_secrets_go()
        with suppress(SessionClosed):
            await self._output.end(status, 0 if status == "succeeded" else 1)
        self._output.unmark(f"run/{self._run_id}/")

    async def _leave(self) -> None:
        """End what is not this kernel's any more: the run is over, or deleted, or another one has it."""
        row = await lasting(lambda: self._means.ledger.row(self._run_id))
        if row is not None and row.session_id == self._session_id and is_over(row.status):
            await self._end(row.status)
            return
        if row is None or row.kernel != self._means.ledger.kernel:
            await discard_strays(self._means, self._run_id, set())
            await asyncio.to_thread(self._means.folders.remove, self._run_id)
        await self._let_secrets_go()
        reason = "was deleted" if row is None else "goes on elsewhere: another session took it over"
        with suppress(SessionClosed):
            await self._output.error(Conflict.because(f"The run {self._run_id} {reason}.", run_id=self._run_id))
            await self._output.end("lost", None, "error")
        if row is None or row.kernel != self._means.ledger.kernel:
            self._output.unmark(f"run/{self._run_id}/")

    async def _let_secrets_go(self) -> None:
        """No attempt goes on: what any of them had of secrets is over, also of those that nobody saw end."""
        try:
            await self._means.secrets.end_parts(self._session_id)
        except NexusError:
            log.exception("what run %s had of secrets could not be taken away", self._run_id)

    async def _break_off(self, error: Exception) -> None:
        """A fault of ours: nothing goes on, and the run says so."""
        told = error
        if not isinstance(told, NexusError):
            fault = type(error).__name__
            told = InternalError.because(f"The run broke off by a fault of Nexus ({fault}); its log says where.")
        await discard_strays(self._means, self._run_id, set())
        await self._let_secrets_go()
        with suppress(Exception):
            await self._means.ledger.break_off(self._run_id, str(told))
        with suppress(SessionClosed):
            await self._output.error(told)
            await self._output.end("failed", 1, "error")
