"""Steps of a run: how far each is, how each attempt at it ended, what it printed."""

from pydantic import Field

from nexus.handlers.api_errors import READING
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.pipeline.following import FOLLOW_ERRORS
from nexus.handlers.pipeline.run import RAN_HELLO, RUN, RunReference, run_named
from nexus.handlers.pipeline.watch import LogsArguments, expect_step, logs_of
from nexus.handlers.session.streams import STREAM_EVENTS, Collected
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.errors import NotFound
from nexus.schemas.page import Page
from nexus.schemas.pipeline import StepName
from nexus.schemas.run import Step, StepDetails, StepStatus
from nexus.schemas.stream import OutputStream


class ListStepsArguments(ListArguments, RunReference):
    status: StepStatus | None = Field(default=None, description="Only those that are so.")


class ListSteps(CommandHandler[ListStepsArguments, Page[Step]]):
    """List the steps of a run, each behind what it needs."""

    path = ("pipeline", "step", "list")
    arguments = ListStepsArguments
    result = Page[Step]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (
        Example(line="nexus pipeline step list hello --fields name,status", shows="How far each is", needs=RAN_HELLO),
    )

    async def execute(self, context: ExecutionContext[ListStepsArguments]) -> Page[Step]:
        query = query_of(context.args)
        run = await run_named(context, query.pop("run"))
        return await context.api.get(f"{RUN}/steps", Page[Step], at={"id": run.id}, query=query)


class StepReference(RunReference):
    step: StepName = Field(description="Its name.", json_schema_extra={"positional": True, "metavar": "STEP"})


class ViewStep(CommandHandler[StepReference, StepDetails]):
    """Show a step of a run: what it runs, every attempt at it and how that ended, and the artifacts that it made."""

    path = ("pipeline", "step", "view")
    arguments = StepReference
    result = StepDetails
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (Example(line="nexus pipeline step view hello greet", shows="One step", needs=RAN_HELLO),)

    async def execute(self, context: ExecutionContext[StepReference]) -> StepDetails:
        run = await run_named(context, context.args.run)
        expect_step(run, context.args.step)
        at = {"id": run.id, "name": context.args.step}
        return await context.api.get(f"{RUN}/steps/{{name}}", StepDetails, at=at)


class StepLogsArguments(LogsArguments, StepReference):
    """A step, and how what it printed is followed."""


class ShowStepLogs(CommandHandler[StepLogsArguments, OutputStream | Collected]):
    """Print the lines that one step printed, in each attempt at it, as log events; with --follow go on."""

    path = ("pipeline", "step", "logs")
    arguments = StepLogsArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING, Effect.IDEMPOTENT})
    errors = (*FOLLOW_ERRORS, NotFound)
    events = STREAM_EVENTS
    examples = (Example(line="nexus pipeline step logs hello greet", shows="What one step printed", needs=RAN_HELLO),)

    async def execute(self, context: ExecutionContext[StepLogsArguments]) -> OutputStream | Collected:
        return await logs_of(context, context.args.step, follow=context.args.follow)
