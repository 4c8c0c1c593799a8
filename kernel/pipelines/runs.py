"""Runs and their steps: listed, viewed, cancelled, deleted."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, select, update

from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.pipelines.coordinating import Coordinating, Forget
from nexus.kernel.pipelines.rows import (
    UNDER_WAY,
    document_of,
    listed,
    run,
    run_details,
    run_row,
    step,
    step_row,
    step_values,
)
from nexus.kernel.store.lookup import count, values_of
from nexus.kernel.store.paging import Listing, contains
from nexus.kernel.store.schema import artifacts, run_attempts, run_steps, runs
from nexus.kernel.store.store import Store
from nexus.schemas.errors import Conflict
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.run import Attempt, Run, RunDetails, RunQuery, Step, StepDetails, StepQuery

MOST_ATTEMPTS = 1000
"""So many of a step's attempts are told, the last ones: a run may be resumed any number of times."""

LISTING = Listing(
    sorts={
        "id": runs.c.id,
        "pipelineName": runs.c.pipeline_name,
        "status": runs.c.status,
        "startedBy": runs.c.started_by,
        "createdAt": runs.c.created_at,
        "startedAt": func.coalesce(runs.c.started_at, ""),
        "finishedAt": func.coalesce(runs.c.finished_at, ""),
    },
    order="-createdAt",
    id=runs.c.id,
    item=run,
)


def _as_it_is(row: Row[Any]) -> Row[Any]:
    return row


STEPS = Listing(
    sorts={
        "position": run_steps.c.position,
        "name": run_steps.c.name,
        "status": run_steps.c.status,
        "attempt": run_steps.c.attempt,
        "startedAt": func.coalesce(run_steps.c.started_at, ""),
        "finishedAt": func.coalesce(run_steps.c.finished_at, ""),
    },
    order="position",
    id=run_steps.c.name,
    item=_as_it_is,
)


class Runs:
    """The runs of this data folder's pipelines. `coordination` is asked for when a run is to be changed."""

    def __init__(self, store: Store, coordination: Callable[[], Coordinating], forget: Forget) -> None:
        self._store = store
        self._coordination = coordination
        self._forget = forget

    async def history(self, request: ApiRequest[RunQuery, None]) -> Page[Run]:
        """Return a page of runs, the newest first."""
        query = request.query
        wanted = _wanted(query)
        return await self._store.read(lambda connection: LISTING.page(connection, wanted, query))

    async def status(self, request: ApiRequest[None, None]) -> RunDetails:
        """Return a run with its steps. Raises `NotFound`."""
        run_id = request.path["id"]
        return await self._store.read(lambda connection: run_details(connection, run_row(connection, run_id)))

    async def steps(self, request: ApiRequest[StepQuery, None]) -> Page[Step]:
        """Return a page of a run's steps, each behind what it needs. Raises `NotFound`."""
        run_id, query = request.path["id"], request.query
        rows = select(run_steps).where(run_steps.c.run_id == run_id)
        if query.status is not None:
            rows = rows.where(run_steps.c.status == query.status)
        if query.filter:
            rows = rows.where(contains((run_steps.c.name, run_steps.c.reason), query.filter))

        def work(connection: Connection) -> Page[Step]:
            document = document_of(run_row(connection, run_id))
            page = STEPS.page(connection, rows, query)
            return Page.model_construct(
                items=[step(row, document) for row in page.items],
                next_cursor=page.next_cursor,
                truncated=page.truncated,
            )

        return await self._store.read(work)

    async def step(self, request: ApiRequest[None, None]) -> StepDetails:
        """Return a step with its attempts and artifacts. Raises `NotFound`."""
        run_id, name = request.path["id"], request.path["name"]
        return await self._store.read(lambda connection: _step_details(connection, run_id, name))

    async def cancel(self, request: ApiRequest[None, None]) -> RunDetails:
        """Have a run end; asked again it is told how far that is. Raises `NotFound`, `Conflict` for one that is over.

        The steps that run are ended behind the answer.
        """
        run_id = request.path["id"]

        def work(connection: Connection) -> RunDetails:
            row = run_row(connection, run_id)
            if row.status not in UNDER_WAY:
                raise Conflict.because(
                    f"The run {run_id} is over: it {_ENDED[row.status]}.",
                    status=row.status,
                    hint=f"nexus pipeline run status {run_id}",
                )
            connection.execute(update(runs).where(runs.c.id == run_id).values(status="cancelling"))
            return run_details(connection, run_row(connection, run_id))

        told = await request.write(work)
        await self._coordination().stir(run_id)
        return told

    async def delete(self, request: ApiRequest[None, None]) -> Deleted:
        """Delete a run; its artifacts stay. Raises `NotFound`, `Conflict` while it is under way."""
        run_id = request.path["id"]

        def work(connection: Connection) -> Deleted:
            refuse_under_way(run_row(connection, run_id))
            cascade = {
                "steps": count(connection, run_steps, run_steps.c.run_id == run_id),
                "attempts": count(connection, run_attempts, run_attempts.c.run_id == run_id),
            }
            connection.execute(delete(runs).where(runs.c.id == run_id))
            return Deleted(id=run_id, cascade=cascade)

        deleted = await request.write(work)
        await self._forget([run_id])
        return deleted


_ENDED = {"succeeded": "succeeded", "failed": "failed", "cancelled": "was cancelled"}


def refuse_under_way(row: Row[Any]) -> None:
    """Raise `Conflict` for a run that is not over."""
    if row.status in UNDER_WAY:
        raise Conflict.because(
            f"The run {row.id} is under way.", status=row.status, hint=f"nexus pipeline run cancel {row.id}"
        )


def _wanted(query: RunQuery) -> Select[Any]:
    rows = listed(runs)
    if query.pipeline_id is not None:
        rows = rows.where(runs.c.pipeline_id == query.pipeline_id)
    if query.status is not None:
        rows = rows.where(runs.c.status == query.status)
    if query.filter:
        columns = (runs.c.pipeline_name, runs.c.id, runs.c.started_by, runs.c.reason)
        rows = rows.where(contains(columns, query.filter))
    return rows


def _step_details(connection: Connection, run_id: str, name: str) -> StepDetails:
    document = document_of(run_row(connection, run_id))
    row = step_row(connection, run_id, name)
    of_step = (run_attempts.c.run_id == run_id, run_attempts.c.step == name)
    last = select(run_attempts).where(*of_step).order_by(run_attempts.c.number.desc()).limit(MOST_ATTEMPTS)
    attempts = connection.execute(last).all()[::-1]
    made = [artifact for attempt in attempts for artifact in attempt.artifacts or ()]
    left = frozenset(connection.execute(select(artifacts.c.id).where(artifacts.c.id.in_(made))).scalars())
    written = document.steps[name]
    values = {
        **step_values(row, document),
        "run": written.run,
        "secrets": written.secrets,
        "history": [Attempt.model_validate(values_of(each)) for each in attempts],
        "artifacts": [each for each in made if each in left],
    }
    return StepDetails.model_validate(values)
