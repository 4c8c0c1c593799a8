"""The work on one step of a run: waits for its turn, tries it, tries it again, until it has ended.

Every change stands in the database before it is told, and is told before the next is made.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from nexus.kernel.holder.held import SIGNAL_BASE
from nexus.kernel.pipelines.attempt import Attempt, Exit, discard
from nexus.kernel.pipelines.ledger import Ending, Fenced, StepState
from nexus.kernel.pipelines.means import Means, RunFacts
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.errors import (
    BackendUnavailable,
    InternalError,
    NexusError,
    OutcomeUnknown,
    ResourceUnavailable,
    SessionClosed,
    StorageFull,
    StorageLocked,
    StorageReadOnly,
    TimeoutExceeded,
)
from nexus.schemas.model import rfc3339
from nexus.schemas.pipeline import Retries
from nexus.schemas.run import StepChange
from nexus.sessions import lines

NO_WALLS = 125
"""The exit code of the program that makes a step's walls, where it cannot; then its last line says why."""
WALLS_SAY = "nexus: "
END_SECONDS = 8.0
"""By then a program has ended that was asked to, by KILL at last."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
KEEP_SECONDS = 5.0
"""So long a run that is cancelled waits for the files of a step that succeeded all the same."""
PASSING = (BackendUnavailable, OutcomeUnknown, StorageFull, StorageLocked, StorageReadOnly, TimeoutExceeded)

Result = TypeVar("Result")
log = logging.getLogger("nexus.kernel.pipelines")


async def lasting(work: Callable[[], Awaitable[Result]]) -> Result:
    """Do work on the database, again and again while the database cannot be reached or has no room."""
    pause = FIRST_PAUSE
    while True:
        try:
            return await work()
        except PASSING as error:
            log.warning("what a run writes is tried again: %s", error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


class StepWork:
    """The work on one step.

    `cancelling` is set when the run is to be cancelled. It sets `begun` when a program runs, or has to wait.
    """

    def __init__(
        self,
        means: Means,
        run: RunFacts,
        output: SessionOutput,
        state: StepState,
        cancelling: asyncio.Event,
        begun: asyncio.Event,
        inputs: Mapping[str, Path],
    ) -> None:
        self._means = means
        self._run = run
        self._output = output
        self._state = state
        self._cancelling = cancelling
        self._begun = begun
        self._inputs = inputs
        self._retries = run.document.steps[state.name].retries

    async def run(self) -> None:
        """Work until the step has ended. Raises `Fenced`."""
        state = self._state
        if state.status == "running":
            async with self._means.slots.one():
                await self._take_up()
        while state.status == "waiting":
            await self._due()
            if not self._cancelling.is_set():
                await self._turn()
            if state.status == "waiting" and self._cancelling.is_set():
                await self._change(Ending("cancelled", "cancelled", state.exit_code, "cancelled"))

    async def _due(self) -> None:
        """Wait until the next attempt may be made, or the run is cancelled."""
        if self._state.next_attempt_at is None:
            return
        left = (datetime.fromisoformat(self._state.next_attempt_at) - datetime.now(UTC)).total_seconds()
        # No longer than it was to be at first, though the clock may have been set back.
        seconds = min(left, pause_behind(self._state.attempt - self._state.spent, self._retries))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._cancelling.wait(), max(seconds, 0))

    async def _turn(self) -> None:
        """Make the next attempt when there is room for it; a run that is cancelled meanwhile makes none."""
        if self._means.slots.full:
            self._begun.set()
        async with self._means.slots.one(unless=self._cancelling) as free:
            number = self._state.attempt + 1
            begin = self._means.ledger.begin
            if not free or self._cancelling.is_set():
                return
            if not await lasting(lambda: begin(self._run.hold, self._state.name, number)):
                # Who cancelled it told the database first.
                self._cancelling.set()
                return
            self._become(Ending("running", "running"), number)
            await self.tell()
            await self._see(self._attempt(number))

    async def _take_up(self) -> None:
        """Go on with the attempt that an earlier process began; one that another kernel had is lost."""
        number = self._state.attempt
        if self._state.lost:
            await self._change(self._failed(number, None, "its kernel is gone", status="lost"))
            return
        await self._see(self._attempt(number), start=False)

    def _attempt(self, number: int) -> Attempt:
        return Attempt(self._means, self._run, self._output, self._state.name, number)

    async def _see(self, attempt: Attempt, *, start: bool = True) -> None:
        """See an attempt to its end, and write that down. One that is not to be started was, by an earlier process."""
        with self._means.crowding.watched(self._run.id, self._state.name, self._state.attempt) as crowded:
            await self._seen(attempt, crowded, start=start)

    async def _seen(self, attempt: Attempt, crowded: asyncio.Event, *, start: bool) -> None:
        staged: list[Any] = []
        try:
            ended = await self._ended(attempt, crowded, start=start)
            staged, ending = await self._judged(attempt, ended)
        except NexusError as error:
            await self._stop(attempt)
            ending = self._refused(error, again=error.retryable)
        except (OSError, ValueError) as error:
            log.exception("%s cannot be run", attempt.name)
            await self._stop(attempt)
            ending = self._refused(InternalError.because(f"The step cannot be run: {error}."), again=True)
        await attempt.let_go()
        if ending.status != "succeeded":
            ending = await self._relieved(ending)
        try:
            made = await self._write(ending, staged)
        except NexusError as error:
            # What it left cannot be kept after all.
            ending, made = self._refused(error, again=True, code=ending.exit_code), []
            await self._write(ending, [])
        self._become(ending, self._state.attempt)
        await self.tell(made)
        attempt.forget()

    async def _relieved(self, ending: Ending) -> Ending:
        """Make room where the disk is nearly full: neither this nor the run's deletion could be written down else."""
        relieve, state = self._means.folders.relieve, self._state
        if not await asyncio.to_thread(relieve, self._run.id, state.name, state.attempt):
            return ending
        return replace(ending, reason=f"{ending.reason} (the disk is nearly full: what it left was removed)")

    async def _stop(self, attempt: Attempt) -> None:
        """Nothing of it may go on: what was to become of its end is not known."""
        if attempt.asked:
            await discard(self._means, [attempt.name])

    async def _write(self, ending: Ending, staged: list[Any]) -> list[str]:
        outputs, hold, state = self._means.outputs, self._run.hold, self._state

        def keep(connection: Connection) -> list[str]:
            return outputs.keep(connection, staged)

        try:
            made = await lasting(lambda: self._means.ledger.end(hold, state.name, state.attempt, ending, keep))
        except (Fenced, NexusError):
            await _tidied(outputs.drop(staged))
            raise
        if staged:
            await _tidied(outputs.settle())
        return made

    async def _ended(self, attempt: Attempt, crowded: asyncio.Event, *, start: bool) -> Exit:
        """Start an attempt if it is not, and read it to its end, which comes soon when the run is cancelled.

        Raises `StorageFull` for one that was ended because it has `crowded` the disk.
        """
        # First of all: what runs is to be ended, also when there is nothing else to do with it.
        if not start and not await attempt.known() and self._output.epoch > 1:
            # The machine itself went down, and took what it knew of the attempt with it.
            return Exit(None, "lost")

        async def work() -> Exit:
            # One that the holder never heard of did not begin: it is this attempt still.
            if not attempt.asked:
                await attempt.start(self._inputs)
            self._begun.set()
            return await attempt.read()

        working = asyncio.create_task(work(), name=f"step {attempt.name}")
        ends = [asyncio.create_task(event.wait()) for event in (self._cancelling, crowded)]
        try:
            await asyncio.wait((working, *ends), return_when=asyncio.FIRST_COMPLETED)
            is_to_end = not working.done()
            if is_to_end and not attempt.asked:
                working.cancel()
                await asyncio.wait((working,))
            if is_to_end and not working.cancelled():
                await attempt.cancel()
                await asyncio.wait((working, ends[1]), return_when=asyncio.FIRST_COMPLETED)
                if crowded.is_set():
                    await self._make_room(working)
            ended = Exit(None, "cancelled") if working.cancelled() else await working
        finally:
            for task in (working, *ends):
                task.cancel()
            await asyncio.wait((working, *ends))
        if ended.reason == "cancelled" and not self._cancelling.is_set():
            raise StorageFull(path=f"what the step {self._state.name} writes")
        return ended

    async def _make_room(self, working: asyncio.Task[Exit]) -> None:
        """Remove what the step left that filled the disk: else there is no room to tell that it has ended."""
        await asyncio.wait((working,), timeout=END_SECONDS)
        await asyncio.to_thread(self._means.folders.relieve, self._run.id, self._state.name, self._state.attempt)

    async def _judged(self, attempt: Attempt, ended: Exit) -> tuple[list[Any], Ending]:
        """Return what the step left, and what becomes of it."""
        if ended.reason == "cancelled" or (self._cancelling.is_set() and ended.code != 0):
            return [], Ending("cancelled", "cancelled", ended.code, "cancelled")
        if ended.reason in ("lost", "shutdown"):
            return [], self._failed(self._state.attempt, ended.code, "what held it is gone", status="lost")
        if ended.code == NO_WALLS and (ended.said or WALLS_SAY).startswith(WALLS_SAY):
            said = (ended.said or "its log says why").removeprefix(WALLS_SAY)
            error = ResourceUnavailable.because(f"The step's sandbox could not be made: {said}", hint="nexus doctor")
            return [], self._refused(error, again=False, code=ended.code)
        if (fault := _fault(ended, attempt)) is not None:
            return [], self._failed(self._state.attempt, ended.code, fault)
        try:
            staged = await self._staged(attempt)
        except NexusError as error:
            return [], self._refused(error, again=True, code=ended.code)
        kept = Ending("succeeded", "succeeded", ended.code)
        return staged or [], kept if staged is not None else Ending("cancelled", "cancelled", ended.code, "cancelled")

    async def _staged(self, attempt: Attempt) -> list[Any] | None:
        """Store the files that it left; None when the run was cancelled and they are too large to wait for."""
        wanted = attempt.program.definition.artifacts
        if not wanted:
            return []
        staging = asyncio.create_task(self._means.outputs.stage(attempt.work, wanted, self._run.id))
        cancelled = asyncio.create_task(self._cancelling.wait())
        try:
            await asyncio.wait((staging, cancelled), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((staging,), timeout=KEEP_SECONDS)
            staging.cancel()
            await asyncio.wait((staging,))
            return None if staging.cancelled() else staging.result()
        finally:
            for task in (staging, cancelled):
                task.cancel()
            await asyncio.wait((staging, cancelled))

    # -- what becomes of it

    def _refused(self, error: NexusError, *, again: bool, code: int | None = None) -> Ending:
        entry = error.entry().model_dump(mode="json", by_alias=True)
        return self._failed(self._state.attempt, code, str(error), error=entry, again=again)

    def _failed(
        self,
        number: int,
        code: int | None,
        reason: str,
        *,
        status: Any = "failed",
        error: dict[str, Any] | None = None,
        again: bool = True,
    ) -> Ending:
        """Return the end of an attempt that failed: the step waits for the next one, if there may be one."""
        tries = number - self._state.spent
        if not again or tries >= self._retries.attempts or self._cancelling.is_set():
            return Ending(status, "failed", code, reason, error)
        due = rfc3339(datetime.now(UTC) + timedelta(seconds=pause_behind(tries, self._retries)))
        return Ending(status, "waiting", code, reason, error, due)

    async def _change(self, ending: Ending) -> None:
        """Make the step, of which no attempt runs, what the ending says."""
        was = self._state
        await lasting(lambda: self._means.ledger.change(self._run.hold, was, ending))
        self._become(ending, was.attempt)
        await self.tell()

    def _become(self, ending: Ending, attempt: int) -> None:
        state = self._state
        state.status, state.attempt, state.lost = ending.step, attempt, False
        state.exit_code, state.reason, state.next_attempt_at = ending.exit_code, ending.reason, ending.next_attempt_at

    async def tell(self, made: Sequence[str] = ()) -> None:
        """Tell what became of the step."""
        await tell(self._output, self._run.id, self._state, made)


async def is_told(output: SessionOutput, run_id: str, state: StepState) -> bool:
    """Whether the session's readers know where a step stands."""
    return place(state) <= await output.position(_source(output, run_id, state))


async def tell(output: SessionOutput, run_id: str, state: StepState, made: Sequence[str]) -> None:
    """Tell the session's readers where a step stands."""
    change = StepChange(
        step=state.name,
        status=state.status,
        attempt=state.attempt,
        exit_code=state.exit_code,
        reason=state.reason,
        next_attempt_at=datetime.fromisoformat(state.next_attempt_at) if state.next_attempt_at else None,
        artifacts=list(made),
    )
    payload = lines.payload(change.model_dump(mode="json", by_alias=True, exclude_none=True))
    with suppress(SessionClosed):
        await output.append([payload], mark=(_source(output, run_id, state), place(state)))


def _source(output: SessionOutput, run_id: str, state: StepState) -> str:
    return f"run/{run_id}/told/{output.session.session_id}/{state.name}"


def place(state: StepState) -> int:
    """Return a number that grows with all that becomes of a step; 0 before anything did."""
    if state.status == "running":
        return 3 * state.attempt
    if state.status in ("skipped", "cancelled"):
        return 3 * state.attempt + 2
    return 3 * state.attempt + 1 if state.attempt else 0


def pause_behind(tries: int, retries: Retries) -> float:
    """Return how many seconds there are between this try, counted from 1, and the next one."""
    return float(min(retries.delay_seconds * retries.factor ** (tries - 1), retries.most_seconds))


def _fault(ended: Exit, attempt: Attempt) -> str | None:
    """Say why a program that ended did not succeed; None when it did."""
    if ended.reason == "timeout":
        return f"took longer than {attempt.program.definition.timeout_seconds:g} s"
    if ended.signal is not None:
        return f"ended by {_signal_name(ended.signal) or f'signal {ended.signal}'}"
    if not ended.code:
        return None
    # Its walls tell of a signal as shells do.
    name = _signal_name(ended.code - SIGNAL_BASE) if ended.code > SIGNAL_BASE else None
    return f"exit code {ended.code} ({name})" if name is not None else f"exit code {ended.code}"


def _signal_name(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None


async def _tidied(work: Awaitable[None]) -> None:
    """Tidy up behind what stands already: what cannot be now is found later."""
    try:
        await work
    except NexusError:
        log.exception("bytes of artifacts could not be tidied up")
