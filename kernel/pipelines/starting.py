"""Runs begun: a new one of a pipeline, another one of what a run was, or what a run did not come to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.pipelines import room
from nexus.kernel.pipelines.coordinating import Coordinating
from nexus.kernel.pipelines.grants import require_runs
from nexus.kernel.pipelines.parameters import taken
from nexus.kernel.pipelines.plan import waves_of
from nexus.kernel.pipelines.rows import UNDER_WAY, document_of, pipeline_row, run_details, run_row
from nexus.kernel.pipelines.runs import refuse_under_way
from nexus.kernel.sessions.record import new_session_id
from nexus.kernel.settings import StepSettings
from nexus.kernel.store.lookup import count, values_of
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.kernel.store.schema import datasets, run_steps, runs
from nexus.kernel.store.store import Store
from nexus.schemas.errors import Conflict, NotFound, ResourceUnavailable, ValidationError
from nexus.schemas.model import rfc3339
from nexus.schemas.pipeline import PipelineDocument
from nexus.schemas.run import NewRun, RunDataset, RunDetails

MOST_UNDER_WAY = 1000
"""So many runs a kernel has under way; each has a session, and a lease that is renewed."""
BEGIN_SECONDS = 60.0
"""So long a run that goes on is left to the kernel that was asked; then another one may take it over."""

PINNED = ("pipeline_id", "pipeline_name", "revision", "document", "parameters", "datasets", "project_id")
"""What a run keeps as it began."""


@dataclass(frozen=True, slots=True)
class Starting:
    """Makes runs ready, as rows, and has the coordinator begin them behind the transaction."""

    store: Store
    steps: StepSettings
    coordination: Callable[[], Coordinating]

    async def start(self, request: ApiRequest[None, NewRun]) -> RunDetails:
        """Start a run of a pipeline.

        Raises `NotFound` for the pipeline or a data set, `ValidationError` for what it is told, `PermissionDenied`,
        `ResourceUnavailable` where too many are under way.
        """
        pipeline_id = request.path["id"]
        row = await self.store.read(lambda connection: pipeline_row(connection, pipeline_id))
        document = document_of(row)
        parameters = taken(document, request.body.parameters)
        room.check(document, parameters)
        require_runs(request.caller, self.steps, datasets=bool(document.datasets))
        pinned = await self.store.read(lambda connection: _datasets(connection, document, request.body.datasets))
        values = {
            "pipeline_id": row.id,
            "pipeline_name": row.name,
            "revision": row.revision,
            "document": row.document,
            "parameters": parameters,
            "datasets": pinned,
            "project_id": row.project_id,
        }
        return await self._begin(request, document, values)

    async def retry(self, request: ApiRequest[None, None]) -> RunDetails:
        """Start a new run of what a run began with.

        Raises `NotFound`, `Conflict` while that is under way, `ResourceUnavailable` where too many are.
        """
        row = await self._over(request)
        values = {name: value for name, value in values_of(row).items() if name in PINNED}
        return await self._begin(request, document_of(row), {**values, "retry_of": row.id})

    async def resume(self, request: ApiRequest[None, None]) -> RunDetails:
        """Go on with a run that failed or was cancelled: what succeeded stays, the rest is tried anew.

        Raises `NotFound`, `Conflict` when it is under way, succeeded, or belongs to another kernel,
        `ResourceUnavailable` where too many are under way.
        """
        row = await self._over(request)
        coordination = self.coordination()
        session_id = new_session_id()

        def work(connection: Connection) -> RunDetails:
            row = run_row(connection, request.path["id"])
            refuse_under_way(row)
            _refuse_succeeded(row)
            _refuse_anothers(connection, row, coordination.kernel_id)
            _refuse_too_many(connection, coordination.kernel_id)
            connection.execute(update(runs).where(runs.c.id == row.id).values(_anew(row, coordination, session_id)))
            waits = {
                "status": "waiting",
                "spent": run_steps.c.attempt,
                **dict.fromkeys(("exit_code", "reason", "started_at", "finished_at", "next_attempt_at")),
            }
            left = (run_steps.c.run_id == row.id, run_steps.c.status != "succeeded")
            connection.execute(update(run_steps).where(*left).values(waits))
            return run_details(connection, run_row(connection, row.id))

        told = await request.write(work)
        await coordination.begin(row.id, session_id, row.project_id)
        return told

    async def _over(self, request: ApiRequest[None, None]) -> Row[Any]:
        """Return the row of a run that is over, and that the caller may have run again."""
        row = await self.store.read(lambda connection: run_row(connection, request.path["id"]))
        refuse_under_way(row)
        require_runs(request.caller, self.steps, datasets=bool(row.datasets))
        return row

    async def _begin(
        self, request: ApiRequest[Any, Any], document: PipelineDocument, values: dict[str, Any]
    ) -> RunDetails:
        coordination = self.coordination()
        run_id, session_id = new_id("run"), new_session_id()
        made = {
            **values,
            "id": run_id,
            "session_id": session_id,
            "status": "queued",
            "kernel": coordination.kernel_id,
            "fence": 0,
            "started_by": request.caller.name,
            "created_at": now(),
        }
        order = [name for wave in waves_of(document) for name in wave]
        steps = [
            {"run_id": run_id, "name": name, "position": place, "status": "waiting", "attempt": 0, "spent": 0}
            for place, name in enumerate(order)
        ]

        def work(connection: Connection) -> RunDetails:
            # It may have been deleted since it was read.
            pipeline_row(connection, values["pipeline_id"])
            _refuse_too_many(connection, coordination.kernel_id)
            connection.execute(insert(runs).values(made))
            connection.execute(insert(run_steps), steps)
            return run_details(connection, run_row(connection, run_id))

        told = await request.write(work)
        await coordination.begin(run_id, session_id, values["project_id"])
        return told


def _anew(row: Row[Any], coordination: Coordinating, session_id: str) -> dict[str, Any]:
    return {
        "status": "queued",
        "session_id": session_id,
        "kernel": coordination.kernel_id,
        # What was under way before writes nothing any more.
        "fence": row.fence + 1,
        "lease_until": rfc3339(datetime.now(UTC) + timedelta(seconds=BEGIN_SECONDS)),
        "reason": None,
        "finished_at": None,
    }


def _refuse_too_many(connection: Connection, kernel_id: str) -> None:
    if count(connection, runs, (runs.c.kernel == kernel_id) & runs.c.status.in_(UNDER_WAY)) >= MOST_UNDER_WAY:
        raise ResourceUnavailable.because(
            f"This kernel has {MOST_UNDER_WAY} runs under way, and takes no more until one of them is over.",
            hint="nexus pipeline run history --status queued",
            capacity=MOST_UNDER_WAY,
            retryable=True,
        )


def _refuse_succeeded(row: Row[Any]) -> None:
    if row.status == "succeeded":
        raise Conflict.because(
            f"The run {row.id} succeeded: nothing of it is left to do.",
            status=row.status,
            hint=f"nexus pipeline run retry {row.id}",
        )


def _refuse_anothers(connection: Connection, row: Row[Any], kernel_id: str) -> None:
    """What its steps left behind is on the machine of the kernel that had it."""
    succeeded = select(run_steps.c.name).where(run_steps.c.run_id == row.id, run_steps.c.status == "succeeded")
    if row.kernel != kernel_id and connection.execute(succeeded.limit(1)).first() is not None:
        raise Conflict.because(
            f"The run {row.id} was another kernel's, which has what its steps left behind.",
            hint=f"nexus pipeline run retry {row.id}",
        )


def _datasets(connection: Connection, document: PipelineDocument, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the data sets of a run, by what the document calls them. Raises `ValidationError`, `NotFound`."""
    known = document.datasets
    for name in given:
        if name not in known:
            raise ValidationError.because(
                f"The pipeline has no data set {name!r}.",
                field=f"datasets.{name}",
                suggestions=get_close_matches(name, list(known)),
                available=sorted(known),
                hint="Tell only what is available, or add it to the pipeline's datasets.",
            )
    meant = {name: given.get(name, default) for name, default in known.items()}
    missing = [name for name, reference in meant.items() if reference is None]
    if missing:
        raise ValidationError.because(
            f"The pipeline wants to be told its data sets {', '.join(missing)}.",
            field=f"datasets.{missing[0]}",
            missing=missing,
            hint=" ".join(f"--dataset {name}=…" for name in missing[:10]),
        )
    return {name: _dataset(connection, name, reference) for name, reference in meant.items() if reference is not None}


def _dataset(connection: Connection, name: str, reference: str) -> dict[str, Any]:
    """Return the data set that is meant, as a run keeps it: an id before a name."""
    for condition in (datasets.c.id == reference, datasets.c.name_key == name_key(reference)):
        row = connection.execute(select(datasets).where(condition)).one_or_none()
        if row is not None:
            return RunDataset.model_validate(values_of(row)).model_dump(mode="json", by_alias=True)
    raise NotFound(resource="data set", reference=reference, field=f"datasets.{name}", hint="nexus data dataset list")
