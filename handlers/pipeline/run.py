"""Runs of pipelines: started, watched, cancelled, begun again; each with its steps and how they ended."""

from typing import Any

from pydantic import Field

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.pipeline.definition import PIPELINE, PIPELINES, WITH_HELLO, PipelineReference, details_of
from nexus.handlers.pipeline.following import FOLLOW_ERRORS, FollowArguments, begun
from nexus.handlers.pipeline.told import ToldArguments, told_of
from nexus.handlers.references import is_absent
from nexus.handlers.session.streams import STREAM_EVENTS
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, GroupSpec, Outcome
from nexus.schemas.errors import Conflict, NexusError, NotFound, PermissionDenied, ResourceUnavailable
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.pipeline import PipelineDetails
from nexus.schemas.run import Run, RunDetails, RunStatus
from nexus.schemas.stream import OutputStream

RUNS_AT = "/api/runs"
RUN = f"{RUNS_AT}/{{id}}"

START_HELLO = "nexus pipeline run start hello --collect"
RAN_HELLO = (*WITH_HELLO, START_HELLO)
"""What the examples stand on."""

_FAILING = (
    "printf 'name: fails\\nsteps:\\n  first:\\n    run: [\"false\"]\\n' > fails.yaml",
    "nexus pipeline definition create --from fails.yaml",
    "nexus pipeline run start fails --collect",
)
_WAITING = (
    "printf 'name: waits\\nsteps:\\n  first:\\n    run: [sleep, \"300\"]\\n' > waits.yaml",
    "nexus pipeline definition create --from waits.yaml",
    "nexus pipeline run start waits",
)

STARTING = (*WRITING, *FOLLOW_ERRORS, NotFound, Conflict, PermissionDenied, ResourceUnavailable)


class RunReference(Arguments):
    run: str = Field(
        min_length=1,
        max_length=200,
        description="Its id; or a pipeline's id or name, whose newest run is meant.",
        json_schema_extra={"positional": True, "metavar": "RUN"},
    )


class StartArguments(FollowArguments, ToldArguments, PipelineReference):
    """A pipeline, and what its run is told."""


class StartRun(CommandHandler[StartArguments, OutputStream | RunDetails]):
    """Start a run of a pipeline. It goes on when this command, the kernel or your login ends.

    What is not told is what the document says. With --follow its events are printed until its end; an interrupt
    cancels the run then. With --collect the answer is the run as it ended. `nexus pipeline run ID` is the same.
    """

    path = ("pipeline", "run", "start")
    arguments = StartArguments
    result = RunDetails
    effects = frozenset({Effect.WRITE, Effect.STREAMING})
    change = "created"
    lasts = True
    errors = STARTING
    events = STREAM_EVENTS
    examples = (
        Example(line="nexus pipeline run start hello", shows="The run that began", needs=WITH_HELLO),
        Example(line="nexus pipeline run start hello --follow", shows="Its events until its end", needs=WITH_HELLO),
        Example(line=START_HELLO, shows="The run as it ended", needs=WITH_HELLO),
    )

    async def execute(self, context: ExecutionContext[StartArguments]) -> Outcome[OutputStream | RunDetails]:
        async def start() -> RunDetails:
            pipeline = await _to_run(context)
            body = await told_of(context, pipeline)
            return await context.api.post(f"{PIPELINE}/runs", RunDetails, at={"id": pipeline.id}, body=body)

        return await begun(context, start)


async def _to_run(context: ExecutionContext[StartArguments]) -> PipelineDetails:
    """Return the pipeline to run. Raises `NotFound`; `pipeline run statsu` may be meant as another command."""
    from difflib import get_close_matches

    try:
        return await details_of(context, context.args.pipeline)
    except NotFound as missing:
        group = context.catalog.node(("pipeline", "run"))
        actions = [child.name for child in group.children] if isinstance(group, GroupSpec) else []
        near = [f"pipeline run {name}" for name in get_close_matches(context.args.pipeline[:100], actions)]
        missing.data["suggestions"] = [*missing.data.get("suggestions", ()), *near]
        raise


class ShowRunStatus(CommandHandler[RunReference, RunDetails]):
    """Show a run: how far it is, each step, and why it ended as it did."""

    path = ("pipeline", "run", "status")
    arguments = RunReference
    result = RunDetails
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (Example(line="nexus pipeline run status hello", shows="The newest run of a pipeline", needs=RAN_HELLO),)

    async def execute(self, context: ExecutionContext[RunReference]) -> RunDetails:
        return await run_named(context, context.args.run)


class HistoryArguments(ListArguments):
    pipeline: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Only runs of this pipeline, by its id or exact name.",
        json_schema_extra={"positional": True, "metavar": "PIPELINE"},
    )
    status: RunStatus | None = Field(default=None, description="Only those that are so.")


class ListRuns(CommandHandler[HistoryArguments, Page[Run]]):
    """List the runs of a pipeline, or of all, the newest first."""

    path = ("pipeline", "run", "history")
    arguments = HistoryArguments
    result = Page[Run]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (
        Example(line="nexus pipeline run history", shows="Every run"),
        Example(line="nexus pipeline run history --status failed --limit 5", shows="What went wrong lately"),
    )

    async def execute(self, context: ExecutionContext[HistoryArguments]) -> Page[Run]:
        query = query_of(context.args)
        if named := query.pop("pipeline", None):
            query["pipelineId"] = (await PIPELINES.by_id_or_name(context.api, named)).id
        return await context.api.get(RUNS_AT, Page[Run], query=query)


class CancelRun(CommandHandler[RunReference, RunDetails]):
    """Cancel a run: what runs is ended (TERM, then KILL), what waits does not begin."""

    path = ("pipeline", "run", "cancel")
    arguments = RunReference
    result = RunDetails
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*WRITING, NotFound, Conflict)
    examples = (Example(line="nexus pipeline run cancel waits", shows="That it is being cancelled", needs=_WAITING),)

    async def execute(self, context: ExecutionContext[RunReference]) -> Outcome[RunDetails]:
        before = await run_named(context, context.args.run)
        if before.status == "cancelled":
            return Outcome(before, message="The run was cancelled already.", change="unchanged")
        after = await context.api.post(f"{RUN}/cancel", RunDetails, at={"id": before.id})
        same = before.status == after.status
        told = f"The run is {after.status}: nexus pipeline run status {after.id}"
        return Outcome(after, message=told, change="unchanged" if same else "updated")


class AgainArguments(FollowArguments, RunReference):
    """A run that is over, and how its successor is followed."""


class RetryRun(CommandHandler[AgainArguments, OutputStream | RunDetails]):
    """Start a run anew: of the same document, parameters and data sets, from the first step on.

    `retryOf` names the run that it was started as. With --follow and --collect as `start` has them.
    """

    path = ("pipeline", "run", "retry")
    arguments = AgainArguments
    result = RunDetails
    effects = frozenset({Effect.WRITE, Effect.STREAMING})
    change = "created"
    lasts = True
    errors = STARTING
    events = STREAM_EVENTS
    examples = (Example(line="nexus pipeline run retry hello --collect", shows="The new run", needs=RAN_HELLO),)

    async def execute(self, context: ExecutionContext[AgainArguments]) -> Outcome[OutputStream | RunDetails]:
        return await _again(context, "retry")


class ResumeRun(CommandHandler[AgainArguments, OutputStream | RunDetails]):
    """Go on with a run that failed or was cancelled: what succeeded stays, the other steps are tried again.

    With --follow and --collect as `start` has them.
    """

    path = ("pipeline", "run", "resume")
    arguments = AgainArguments
    result = RunDetails
    effects = frozenset({Effect.WRITE, Effect.STREAMING})
    change = "updated"
    lasts = True
    errors = STARTING
    events = STREAM_EVENTS
    examples = (Example(line="nexus pipeline run resume fails --collect", shows="The same run", needs=_FAILING),)

    async def execute(self, context: ExecutionContext[AgainArguments]) -> Outcome[OutputStream | RunDetails]:
        return await _again(context, "resume")


async def _again(context: ExecutionContext[AgainArguments], action: str) -> Outcome[OutputStream | RunDetails]:
    """Have a run begin again in one of two ways, and follow it as the arguments ask for."""

    async def begin() -> RunDetails:
        run = await run_named(context, context.args.run)
        return await context.api.post(f"{RUN}/{action}", RunDetails, at={"id": run.id})

    return await begun(context, begin)


class DeleteRunArguments(Arguments):
    run: str = Field(
        min_length=1,
        max_length=200,
        description="Its id.",
        json_schema_extra={"positional": True, "metavar": "RUN"},
    )


class DeleteRun(CommandHandler[DeleteRunArguments, Deleted]):
    """Delete a run that is over, with its log and its folders. Artifacts stay.

    The run is named by its id: which one is a pipeline's newest may change before you have confirmed.
    """

    path = ("pipeline", "run", "delete")
    arguments = DeleteRunArguments
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="nexus pipeline run delete \"$(nexus pipeline run history | jq -r '.data.items[0].id')\" --yes",
            shows="What went",
            needs=RAN_HELLO,
        ),
    )

    async def execute(self, context: ExecutionContext[DeleteRunArguments]) -> Deleted:
        return await context.api.delete(RUN, Deleted, at={"id": context.args.run})


async def run_named(context: ExecutionContext[Any], reference: str) -> RunDetails:
    """Return the run that an id means, or the newest of the pipeline that an id or a name means. Raises `NotFound`."""
    try:
        return await context.api.get(RUN, RunDetails, at={"id": reference})
    except NexusError as missing:
        if not is_absent(missing):
            raise
    try:
        pipeline = await PIPELINES.by_id_or_name(context.api, reference)
    except NexusError as missing:
        if not is_absent(missing):
            raise
        near = missing.entry().details.get("suggestions", [])
        raise NotFound(
            resource="run", reference=reference, suggestions=near, hint="nexus pipeline run history"
        ) from missing
    query = {"pipelineId": pipeline.id, "limit": 1}
    newest = (await context.api.get(RUNS_AT, Page[Run], query=query)).items
    if not newest:
        raise NotFound(resource="run of the pipeline", reference=pipeline.name, hint="nexus pipeline run history")
    return await context.api.get(RUN, RunDetails, at={"id": newest[0].id})
