"""Rows of pipelines and runs: found, and made into what is told of them."""

from collections import Counter
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, select

from nexus.kernel.pipelines.plan import waves_of
from nexus.kernel.store.lookup import values_of
from nexus.kernel.store.schema import pipelines, run_steps, runs
from nexus.schemas.errors import NotFound
from nexus.schemas.pipeline import Pipeline, PipelineDetails, PipelineDocument
from nexus.schemas.run import Run, RunDetails, Step, StepCounts

UNDER_WAY = ("queued", "running", "cancelling")

PIPELINES_HINT = "nexus pipeline definition list"
RUNS_HINT = "nexus pipeline run history"


def pipeline_row(connection: Connection, pipeline_id: str) -> Row[Any]:
    """Return the row of a pipeline. Raises `NotFound`."""
    return _found(connection, pipelines, pipeline_id, PIPELINES_HINT)


def run_row(connection: Connection, run_id: str) -> Row[Any]:
    """Return the row of a run. Raises `NotFound`."""
    return _found(connection, runs, run_id, RUNS_HINT)


def step_row(connection: Connection, run_id: str, name: str) -> Row[Any]:
    """Return the row of a step of a run. Raises `NotFound`."""
    wanted = select(run_steps).where(run_steps.c.run_id == run_id, run_steps.c.name == name)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        raise NotFound(resource="step", reference=name, hint=f"nexus pipeline step list {run_id}")
    return row


@cache
def listed(table: Table) -> Select[Any]:
    """Return the select of a table's rows without their documents, which no list reads."""
    return select(*(column for column in table.c if column.name != "document"))


def pipeline(row: Row[Any]) -> Pipeline:
    """Return a pipeline."""
    return Pipeline.model_validate(values_of(row))


def pipeline_details(row: Row[Any]) -> PipelineDetails:
    """Return a pipeline with its document."""
    document = document_of(row)
    order = [name for wave in waves_of(document) for name in wave]
    return PipelineDetails.model_validate({**values_of(row), "document": document, "order": order})


def document_of(row: Row[Any]) -> PipelineDocument:
    """Return the document of a pipeline's or a run's row."""
    return PipelineDocument.model_validate(row.document)


def run(row: Row[Any]) -> Run:
    """Return a run."""
    return Run.model_validate(values_of(row))


def run_details(connection: Connection, row: Row[Any]) -> RunDetails:
    """Return a run with its steps, each behind what it needs."""
    ordered = select(run_steps).where(run_steps.c.run_id == row.id).order_by(run_steps.c.position)
    document = document_of(row)
    steps = [step(each, document) for each in connection.execute(ordered)]
    counts = StepCounts.model_validate(Counter(each.status for each in steps))
    return RunDetails.model_validate({**values_of(row), "counts": counts, "steps": steps})


def step(row: Row[Any], document: PipelineDocument) -> Step:
    """Return a step of a run that began with this document."""
    return Step.model_validate(step_values(row, document))


def step_values(row: Row[Any], document: PipelineDocument) -> dict[str, Any]:
    """Return what is told of a step."""
    written = document.steps[row.name]
    # Attempts of before the run was resumed do not count against how many there may be.
    attempts = written.retries.attempts + row.spent
    return {**values_of(row), "needs": list(dict.fromkeys(written.needs)), "attempts": attempts}


def _found(connection: Connection, table: Table, row_id: str, hint: str) -> Row[Any]:
    row = connection.execute(select(table).where(table.c.id == row_id)).one_or_none()
    if row is None:
        raise NotFound(resource=table.name.removesuffix("s"), reference=row_id, hint=hint)
    return row
