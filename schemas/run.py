"""Runs of pipelines: what was started with what, how far each step is, and how each attempt at one ended."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from nexus.schemas.model import MOST_WHOLE, Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery
from nexus.schemas.pipeline import InputName, ParameterName, ParameterValue

RunStatus = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
StepStatus = Literal["waiting", "running", "succeeded", "failed", "skipped", "cancelled"]
AttemptStatus = Literal["running", "succeeded", "failed", "cancelled", "lost"]
"""`lost`: what ran it is gone, and nobody knows how it ended. It counts as failed."""

RUN_ENDS: frozenset[RunStatus] = frozenset({"succeeded", "failed", "cancelled"})
STEP_ENDS: frozenset[StepStatus] = frozenset({"succeeded", "failed", "skipped", "cancelled"})


class RunDataset(Model):
    """A data set as a run has it: these bytes, whatever becomes of its name."""

    id: str
    name: str
    filename: str
    size: int
    sha256: str


class Attempt(Model):
    """One attempt at a step. `exit_code` is the program's own, or 128 and the number of the signal that ended it.

    `error` says why a program did not run, or why what it left could not be kept.
    """

    number: int
    status: AttemptStatus
    exit_code: int | None = None
    reason: str | None = None
    error: dict[str, Any] | None = None
    started_at: Timestamp
    finished_at: Timestamp | None = None


class Step(Model):
    """One step of a run. `attempt` counts from 1, 0 before the first. `next_attempt_at` is set while it waits for one
    after a failure. A step is `skipped` when one that it needs did not succeed.
    """

    name: str
    status: StepStatus
    attempt: int
    attempts: int
    """How many there may be."""
    needs: list[str]
    exit_code: int | None = None
    reason: str | None = None
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    next_attempt_at: Timestamp | None = None


class StepDetails(Step):
    """A step with every attempt at it, the first one first, and the ids of the artifacts that it made."""

    run_id: str
    run: list[str]
    secrets: list[str]
    history: list[Attempt]
    artifacts: list[str]


class Run(Model):
    """A run. Its events are the stream of the session `session_id`, of type pipeline-run.

    `retry_of` is the run that it was started as. `reason` says why it did not succeed.
    """

    id: str
    pipeline_id: str
    pipeline_name: str
    revision: int
    status: RunStatus
    reason: str | None = None
    session_id: str | None = None
    project_id: str | None = None
    parameters: dict[str, ParameterValue]
    datasets: dict[str, RunDataset]
    retry_of: str | None = None
    started_by: str
    created_at: Timestamp
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class StepCounts(Model):
    """How many steps there are, by status."""

    waiting: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0


class RunDetails(Run):
    """A run with its steps, each behind what it needs."""

    counts: StepCounts
    steps: list[Step]


class NewRun(StrictModel):
    """What a run is told. Text is read as the parameter's type; `datasets` maps the pipeline's words to ids or names.

    What is left out is what the document says.
    """

    parameters: dict[ParameterName, ParameterValue] = Field(default_factory=dict, max_length=100)
    datasets: dict[InputName, Annotated[str, StringConstraints(min_length=1, max_length=200)]] = Field(
        default_factory=dict, max_length=100
    )


class RunQuery(PageQuery):
    """`pipeline_id` asks for the runs of one pipeline, `status` for those that are so."""

    pipeline_id: str | None = Field(default=None, max_length=200)
    status: RunStatus | None = None


class StepQuery(PageQuery):
    status: StepStatus | None = None


class StepChange(Model):
    """The payload of a data event of a run: a step became `status`. Times are those of the attempt."""

    type: Literal["step"] = "step"
    step: str
    status: StepStatus
    attempt: int = Field(ge=0, le=MOST_WHOLE)
    exit_code: int | None = None
    reason: str | None = None
    next_attempt_at: Timestamp | None = None
    artifacts: list[str] = Field(default_factory=list)
    """The ids of those that it made."""
