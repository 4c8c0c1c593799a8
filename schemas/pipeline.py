"""Pipelines: documents that say which steps there are, what each runs, and what each needs to be done before it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from nexus.schemas.data import Description
from nexus.schemas.model import MOST_WHOLE, Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery
from nexus.schemas.project import Name
from nexus.schemas.secret import SecretNames

MOST_STEPS = 500
MOST_WORDS = 200
MOST_TEXT = 10_000
MOST_SECONDS = 7 * 24 * 3600

StepName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""A folder's name, and one word of a command line."""
ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
InputName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$")]
"""What a pipeline calls a data set that it works on."""
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
Text = Annotated[str, StringConstraints(max_length=MOST_TEXT, pattern=r"^[^\x00]*$")]
BelowPath = Annotated[
    str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")
]
"""A path below a step's folder, the last part of it a file's name. Whoever opens it holds it inside."""
ParameterValue = bool | Annotated[int, Field(ge=-MOST_WHOLE - 1, le=MOST_WHOLE)] | float | str
"""What JSON has it as; numbers are finite."""


class Parameter(StrictModel):
    """Something that a run is told. One without a default must be told."""

    type: Literal["string", "integer", "number", "boolean"] = "string"
    description: Description | None = None
    default: ParameterValue | None = None
    choices: list[ParameterValue] | None = Field(default=None, min_length=1, max_length=100)


class Retries(StrictModel):
    """How often a step that failed is tried: `attempts` in all, the second after `delay_seconds`, each later one after
    `factor` times as long, but no longer than `most_seconds`.
    """

    attempts: int = Field(default=1, ge=1, le=20)
    delay_seconds: float = Field(default=1.0, ge=0, le=3600)
    factor: float = Field(default=2.0, ge=1, le=10)
    most_seconds: float = Field(default=300.0, ge=0, le=86_400)


class StepDefinition(StrictModel):
    """One step: a program, run in a sandbox, with a folder of its own to work in.

    `run` is the program and its arguments; no shell stands between. In it and in `environment`, `${parameters.NAME}`,
    `${datasets.NAME}` (a file's path), `${inputs.STEP}` (the folder that a step of `needs` left behind) and
    `${project}` (the project's folder) are replaced; `$${` is a plain `${`. `datasets` and `secrets` are those of the
    run that the step may read. `artifacts` maps names, none of them another step's too, to files in its folder that are
    kept when it succeeds. `network` lets it reach others. A step that takes longer than `timeout_seconds`, or more
    memory than `memory_mib`, has failed.
    """

    run: list[Text] = Field(min_length=1, max_length=MOST_WORDS)
    description: Description | None = None
    needs: list[StepName] = Field(default_factory=list, max_length=MOST_STEPS)
    environment: dict[VariableName, Text] = Field(default_factory=dict, max_length=100)
    datasets: list[InputName] = Field(default_factory=list, max_length=100)
    secrets: SecretNames = Field(default_factory=list)
    artifacts: dict[Name, BelowPath] = Field(default_factory=dict, max_length=100)
    retries: Retries = Field(default_factory=Retries)
    timeout_seconds: float = Field(default=3600.0, gt=0, le=MOST_SECONDS)
    memory_mib: int | None = Field(default=None, ge=16, le=16 * 1024 * 1024)
    network: bool = False


class PipelineDocument(StrictModel):
    """A pipeline as it is written. `datasets` maps what the steps call a data set to the one that is meant, an id or a
    name, where a run names no other; null must be named. With `project`, the steps may read that project's folder.
    """

    name: Name
    description: Description | None = None
    project: str | None = Field(default=None, min_length=1, max_length=200)
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict, max_length=100)
    datasets: dict[InputName, Annotated[str, StringConstraints(min_length=1, max_length=200)] | None] = Field(
        default_factory=dict, max_length=100
    )
    steps: dict[StepName, StepDefinition] = Field(min_length=1, max_length=MOST_STEPS)


class Pipeline(Model):
    """A pipeline that is kept. `revision` counts its changes from 1; a run keeps the document that it began with."""

    id: str
    name: str
    description: str | None = None
    project_id: str | None = None
    revision: int
    step_count: int
    created_at: Timestamp
    updated_at: Timestamp


class PipelineDetails(Pipeline):
    """A pipeline with its document; `order` has its steps in an order in which each comes behind what it needs."""

    document: PipelineDocument
    order: list[str]


class PipelineQuery(PageQuery):
    """`name` asks for the one pipeline with this exact name, `project_id` for those of one project."""

    name: str | None = None
    project_id: str | None = None


class PipelineChange(StrictModel):
    """A newer document. With `revision`, only where the pipeline is at that one still."""

    document: PipelineDocument
    revision: int | None = Field(default=None, ge=1, le=MOST_WHOLE)


class PipelineChecked(Model):
    """A document in which nothing was found wrong. `waves` has the steps that may run at once, in their order."""

    name: str
    valid: Literal[True] = True
    step_count: int
    waves: list[list[str]]
    secrets: list[str]
    datasets: list[str]
