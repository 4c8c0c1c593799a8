"""What stands behind the operations of pipelines: documents, runs, steps."""

from collections.abc import Callable

from nexus.kernel.api.late import Behind
from nexus.kernel.part import Surroundings
from nexus.kernel.pipelines.coordinating import Coordinating, Forget
from nexus.kernel.pipelines.definitions import Definitions
from nexus.kernel.pipelines.runs import Runs
from nexus.kernel.pipelines.starting import Starting
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.pipeline import (
    Pipeline,
    PipelineChange,
    PipelineChecked,
    PipelineDetails,
    PipelineDocument,
    PipelineQuery,
)
from nexus.schemas.run import NewRun, Run, RunDetails, RunQuery, Step, StepDetails, StepQuery


def behind(surroundings: Surroundings, coordination: Callable[[], Coordinating], forget: Forget) -> dict[str, Behind]:
    """Return what stands behind each operation, by its id."""
    store, steps = surroundings.store, surroundings.steps
    definitions = Definitions(store, steps, forget)
    runs = Runs(store, coordination, forget)
    starting = Starting(store, steps, coordination)
    definition, run, step = "pipeline.definition", "pipeline.run", "pipeline.step"
    return {
        f"{definition}.list": Behind(definitions.list, Page[Pipeline], query=PipelineQuery),
        f"{definition}.create": Behind(definitions.create, PipelineDetails, body=PipelineDocument),
        f"{definition}.validate": Behind(definitions.validate, PipelineChecked, body=PipelineDocument),
        f"{definition}.view": Behind(definitions.view, PipelineDetails),
        f"{definition}.update": Behind(definitions.update, PipelineDetails, body=PipelineChange),
        f"{definition}.delete": Behind(definitions.delete, Deleted),
        f"{run}.start": Behind(starting.start, RunDetails, body=NewRun),
        f"{run}.history": Behind(runs.history, Page[Run], query=RunQuery),
        f"{run}.status": Behind(runs.status, RunDetails),
        f"{run}.cancel": Behind(runs.cancel, RunDetails),
        f"{run}.retry": Behind(starting.retry, RunDetails),
        f"{run}.resume": Behind(starting.resume, RunDetails),
        f"{run}.delete": Behind(runs.delete, Deleted),
        f"{step}.list": Behind(runs.steps, Page[Step], query=StepQuery),
        f"{step}.view": Behind(runs.step, StepDetails),
    }
