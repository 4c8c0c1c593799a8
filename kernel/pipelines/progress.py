"""The steps of one run under way: begun when what they need is done, skipped when it will not be, all at once ended."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from nexus.kernel.pipelines.attempt import discard
from nexus.kernel.pipelines.ledger import Claim, Ending, StepState
from nexus.kernel.pipelines.means import Means, RunFacts
from nexus.kernel.pipelines.work import StepWork, is_told, lasting, tell
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.pipeline import PipelineDocument
from nexus.schemas.run import STEP_ENDS, RunDataset, RunStatus


class Progress:
    """One claimed run. `cancelling` is set to have it cancelled; it sets `begun` when a program runs or has to wait."""

    def __init__(self, means: Means, claim: Claim, output: SessionOutput, begun: asyncio.Event) -> None:
        row = claim.row
        self.cancelling = asyncio.Event()
        if claim.status == "cancelling":
            self.cancelling.set()
        self._means = means
        self._output = output
        self._begun = begun
        self._run = RunFacts(
            hold=claim.hold,
            document=PipelineDocument.model_validate(row.document),
            parameters=row.parameters,
            datasets={name: RunDataset.model_validate(each) for name, each in row.datasets.items()},
            project_id=row.project_id,
        )
        self._steps = {state.name: state for state in claim.steps}
        self._works: dict[str, StepWork] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}

    async def run(self) -> None:
        """Work until every step has ended. Raises `Fenced`. Cancelled, it lets go: what runs goes on in the holder."""
        await self._catch_up()
        stopping = asyncio.create_task(self.cancelling.wait())
        try:
            while await self._settle():
                waited = {*self._tasks, *(() if self.cancelling.is_set() else (stopping,))}
                done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopping}:
                    self._works.pop(self._tasks.pop(task))
                    await task
        finally:
            tasks = {stopping, *self._tasks}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    @property
    def verdict(self) -> tuple[RunStatus, str | None]:
        """How the run ended, and why it did not succeed; to be read once all steps have."""
        failed = [state for state in self._steps.values() if state.status == "failed"]
        if all(state.status == "succeeded" for state in self._steps.values()):
            return "succeeded", None
        if self.cancelling.is_set():
            return "cancelled", "cancelled"
        more = f", and {len(failed) - 1} more failed" if len(failed) > 1 else ""
        return "failed", f"{failed[0].name}: {failed[0].reason}{more}" if failed else "a step did not run"

    async def _settle(self) -> bool:
        """Begin, skip or cancel each step for which it is time; whether any has work now."""
        for state in self._steps.values():
            if state.status in STEP_ENDS or state.name in self._works:
                continue
            needs = [self._steps[name].status for name in self._run.document.steps[state.name].needs]
            if state.status == "waiting" and self.cancelling.is_set():
                await self._change(state, Ending("cancelled", "cancelled", state.exit_code, "cancelled"))
            elif state.status == "waiting" and any(each in STEP_ENDS - {"succeeded"} for each in needs):
                await self._change(state, Ending("cancelled", "skipped", state.exit_code, self._missing(state)))
            elif state.status == "running" or all(each == "succeeded" for each in needs):
                self._begin(state)
        return bool(self._works)

    def _missing(self, state: StepState) -> str:
        needs = self._run.document.steps[state.name].needs
        return f"{next(name for name in needs if self._steps[name].status != 'succeeded')} did not succeed"

    def _begin(self, state: StepState) -> None:
        needs = self._run.document.steps[state.name].needs
        inputs = {name: self._left(self._steps[name]) for name in needs}
        work = StepWork(self._means, self._run, self._output, state, self.cancelling, self._begun, inputs)
        self._works[state.name] = work
        self._tasks[asyncio.create_task(work.run(), name=f"step {self._run.id} {state.name}")] = state.name

    def _left(self, state: StepState) -> Path:
        return self._means.folders.work(self._run.id, state.name, state.attempt)

    async def _change(self, state: StepState, ending: Ending) -> None:
        await lasting(lambda: self._means.ledger.change(self._run.hold, state, ending))
        state.status, state.reason, state.next_attempt_at = ending.step, ending.reason, None
        await tell(self._output, self._run.id, state, ())

    # -- taking up

    async def _catch_up(self) -> None:
        """Tell what an earlier process did not come to tell; end what it left; have again what is there no more."""
        for state in self._steps.values():
            if not await is_told(self._output, self._run.id, state):
                made = await self._made(state)
                await tell(self._output, self._run.id, state, made)
        await self._mask_former()
        if any(state.attempt for state in self._steps.values()):
            await self._have_again()
            await discard_strays(self._means, self._run.id, self._running())

    async def _mask_former(self) -> None:
        """Mask what steps were given before: the others find what they left."""
        tried = (name for name, state in self._steps.items() if state.attempt)
        names = {secret for name in tried for secret in self._run.document.steps[name].secrets}
        self._run.mask.add(await self._means.secrets.values(names))

    def _running(self) -> set[str]:
        return {
            f"{self._run.id}.{state.name}.{state.attempt}"
            for state in self._steps.values()
            if state.status == "running" and not state.lost
        }

    async def _made(self, state: StepState) -> Sequence[str]:
        if state.status != "succeeded":
            return ()
        return await lasting(lambda: self._means.ledger.artifacts(self._run.id, state.name, state.attempt))

    async def _have_again(self) -> None:
        """Have steps that succeeded run again whose folders are gone, with another kernel, and are needed yet."""
        wanted: set[str] = set()
        for state in reversed(self._steps.values()):
            needed = state.name in wanted and state.status == "succeeded"
            if needed and not await asyncio.to_thread(self._left(state).is_dir):
                await self._have(state)
            if state.status == "waiting" or state.lost:
                wanted |= set(self._run.document.steps[state.name].needs)

    async def _have(self, state: StepState) -> None:
        again = Ending("lost", "waiting", state.exit_code, "what it left is gone")
        await lasting(lambda: self._means.ledger.change(self._run.hold, state, again, anew=True))
        state.status, state.spent, state.reason = "waiting", state.attempt, again.reason


async def discard_strays(means: Means, run_id: str, wanted: set[str]) -> None:
    """End programs of a run that are none of its attempts any more."""
    prefix = f"{run_id}."
    names = [name for name in means.holding.place.names() if name.startswith(prefix) and name not in wanted]
    await discard(means, names)
