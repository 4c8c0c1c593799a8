"""Pipelines as a part of the kernel: where they are asked, and nothing else of it before they are."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from nexus.kernel.api.late import Behind, LateOperation
from nexus.kernel.api.operation import Operation, also
from nexus.kernel.events import ProjectDeleted
from nexus.kernel.part import Part, Surroundings

if TYPE_CHECKING:
    from nexus.kernel.pipelines.coordination import Coordination
    from nexus.kernel.sessions.driver import Driver
    from nexus.kernel.sessions.output import SessionOutput

SESSIONS = "pipeline-run"
"""The type of the sessions that runs have."""
LOOK_SECONDS = 30.0
"""So often a kernel without runs looks whether there are any."""
FIRST_SECONDS = 5.0
"""So long a resident's first commands go before that."""

# Words of SQL, because most kernels have none: nothing of runs is imported to learn that.
UNDER_WAY = text("SELECT 1 FROM runs WHERE status IN ('queued', 'running', 'cancelling') LIMIT 1")

log = logging.getLogger("nexus.kernel.pipelines")

MANY, ONE = "/api/pipelines", "/api/pipelines/{id}"
RUNS, RUN = "/api/runs", "/api/runs/{id}"


class Pipelines(Part):
    """The pipelines of this data folder, and their runs."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._staying: asyncio.Task[None] | None = None
        surroundings.drivers.add(SESSIONS, self._driver)
        surroundings.bus.subscribe(ProjectDeleted, self._project_deleted)

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked of documents, runs and steps."""
        return (*self._definitions(), *self._runs(), *self._steps())

    def _definitions(self) -> Sequence[Operation]:
        command, load = "pipeline.definition", self._load
        return (
            LateOperation("GET", MANY, f"{command}.list", "List pipelines.", load),
            LateOperation("POST", MANY, f"{command}.create", "Keep a document as a pipeline.", load, status=201),
            # Fixed words stand before an id.
            LateOperation(
                *("POST", f"{MANY}/validate", f"{command}.validate", "Find what is wrong in a document.", load),
                audited=False,
            ),
            LateOperation("GET", ONE, f"{command}.view", "View a pipeline with its document.", load),
            LateOperation("PUT", ONE, f"{command}.update", "Keep a newer document.", load),
            LateOperation("DELETE", ONE, f"{command}.delete", "Delete a pipeline and its runs.", load),
        )

    def _runs(self) -> Sequence[Operation]:
        command, load = "pipeline.run", self._load
        return (
            LateOperation(
                *("POST", f"{ONE}/runs", f"{command}.start", "Start a run.", load), status=201, body_required=False
            ),
            LateOperation("GET", RUNS, f"{command}.history", "List runs.", load, also=also(f"{command}.list")),
            LateOperation("GET", RUN, f"{command}.status", "View a run.", load, also=also(f"{command}.view")),
            LateOperation("POST", f"{RUN}/cancel", f"{command}.cancel", "Have a run end.", load),
            LateOperation("POST", f"{RUN}/retry", f"{command}.retry", "Start what a run was anew.", load, status=201),
            LateOperation("POST", f"{RUN}/resume", f"{command}.resume", "Go on with a run that did not succeed.", load),
            LateOperation("DELETE", RUN, f"{command}.delete", "Delete a run; its artifacts stay.", load),
        )

    def _steps(self) -> Sequence[Operation]:
        steps, load = f"{RUN}/steps", self._load
        return (
            LateOperation("GET", steps, "pipeline.step.list", "List the steps of a run.", load),
            LateOperation("GET", f"{steps}/{{name}}", "pipeline.step.view", "View a step and its attempts.", load),
        )

    @cached_property
    def coordination(self) -> "Coordination":
        """What has runs run; made when it is first asked for."""
        from nexus.kernel.pipelines.coordination import Coordination
        from nexus.kernel.pipelines.inputs import Inputs
        from nexus.kernel.pipelines.outputs import Outputs

        around = self._surroundings
        return Coordination(around, Outputs(around.store, around.kept), Inputs(around.store, around.kept))

    async def start(self) -> None:
        """Begin to look after runs, where the kernel stays."""
        if self._surroundings.host.mode != "one-shot":
            self._staying = asyncio.create_task(self._stay(), name="pipelines")

    async def close(self) -> None:
        """Let go of runs: they go on with the next kernel."""
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.wait((self._staying,))
        if self._is_coordinating:
            await self.coordination.close()

    @property
    def _is_coordinating(self) -> bool:
        return "coordination" in self.__dict__

    async def _stay(self) -> None:
        """Have runs looked after once there are any: most kernels have none, and import nothing of it."""
        await asyncio.sleep(FIRST_SECONDS if self._surroundings.host.mode == "resident" else 0)
        while True:
            try:
                if self._is_coordinating or await self._surroundings.store.read(_any_under_way):
                    await self.coordination.start()
                    return
            except Exception:
                # Whatever it is, the next look may go well.
                log.exception("runs could not be looked for")
            await asyncio.sleep(LOOK_SECONDS)

    def _driver(self, output: "SessionOutput") -> "Driver":
        return self.coordination.driver(output)

    @cached_property
    def _behind(self) -> Mapping[str, Behind]:
        from nexus.kernel.pipelines.operations import behind

        return behind(self._surroundings, lambda: self.coordination, self._forget)

    def _load(self, operation_id: str) -> Behind:
        return self._behind[operation_id]

    async def _project_deleted(self, event: ProjectDeleted) -> None:
        await self._forget(event.runs)

    async def _forget(self, runs: Collection[str]) -> None:
        """Have what is left of runs removed that are deleted."""
        if runs:
            await self._surroundings.drivers.forget(SESSIONS, frozenset(runs))
        for run_id in runs:
            await self.coordination.forget(run_id)


def _any_under_way(connection: Connection) -> bool:
    return connection.execute(UNDER_WAY).first() is not None
