"""What happens in a run, as events: all of it, or what its steps print."""

from typing import Any

from pydantic import Field

from nexus.handlers.pipeline.following import FOLLOW_ERRORS, logged_by, place_of_last, session_of, stream_of_run
from nexus.handlers.pipeline.run import RAN_HELLO, RunReference, run_named
from nexus.handlers.session.streams import STREAM_EVENTS, Collected, StreamArguments, client_of, collected
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.errors import NotFound, ValidationError
from nexus.schemas.pipeline import StepName
from nexus.schemas.run import RunDetails
from nexus.schemas.stream import OutputStream


class WatchArguments(StreamArguments, RunReference):
    exit_code: bool = Field(default=False, description="Exit with 1 when the run does not succeed.")


class WatchRun(CommandHandler[WatchArguments, OutputStream | Collected]):
    """Print what happens in a run until its end: steps that begin and end, and each line that they print.

    Of a run that is over all of it is printed. The run is only read: an interrupt ends the reader, and nothing else.
    """

    path = ("pipeline", "run", "watch")
    arguments = WatchArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING})
    errors = (*FOLLOW_ERRORS, NotFound)
    events = STREAM_EVENTS
    examples = (Example(line="nexus pipeline run watch hello", shows="Its newest run, until the end", needs=RAN_HELLO),)

    async def execute(self, context: ExecutionContext[WatchArguments]) -> OutputStream | Collected:
        session_id = await session_named(context, context.args.run)
        stream = await stream_of_run(context, session_id, follow=not context.args.collect)
        return await collected(stream) if context.args.collect else stream


class LogsArguments(StreamArguments):
    """How printed lines are followed."""

    lines: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Only so many of the last lines, and what comes.",
        json_schema_extra={"short": "n"},
    )
    follow: bool = Field(
        default=False, description="Go on with what comes, until the run's end.", json_schema_extra={"short": "f"}
    )


class RunLogsArguments(LogsArguments, RunReference):
    step: StepName | None = Field(default=None, description="Only what this step printed.")


class ShowRunLogs(CommandHandler[RunLogsArguments, OutputStream | Collected]):
    """Print the lines that a run's steps printed, as log events; with --follow go on until its end.

    --lines and --limit count these lines; --after and --tail count every event of the run.
    """

    path = ("pipeline", "run", "logs")
    arguments = RunLogsArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING, Effect.IDEMPOTENT})
    errors = (*FOLLOW_ERRORS, NotFound)
    events = STREAM_EVENTS
    examples = (
        Example(
            line="nexus pipeline run logs hello --step greet",
            shows="What a step of its newest run printed",
            needs=RAN_HELLO,
        ),
    )

    async def execute(self, context: ExecutionContext[RunLogsArguments]) -> OutputStream | Collected:
        return await logs_of(context, context.args.step, follow=context.args.follow)


async def logs_of(context: ExecutionContext[Any], step: str | None, *, follow: bool) -> OutputStream | Collected:
    """Return the stream of what a step of the run printed, or all its steps. Raises `NotFound`."""
    args = context.args
    if context.printed is None:
        run = await run_named(context, args.run)
        expect_step(run, step)
        session_id = session_of(run)
    else:
        session_id = context.printed.session_id
    keep = logged_by(step)
    if args.lines is not None:
        if args.after is not None or args.tail is not None:
            raise ValidationError.because("--lines, --after and --tail all say where to begin.", field="lines")
        args.after = await place_of_last(await client_of(context), session_id, args.lines, keep)
    stream = await stream_of_run(context, session_id, follow=follow and not args.collect, keep=keep)
    return await collected(stream) if args.collect else stream


def expect_step(run: RunDetails, step: str | None) -> None:
    """Raise `NotFound`, with the nearest names, where the run has no step of this name."""
    names = [each.name for each in run.steps]
    if step is not None and step not in names:
        from difflib import get_close_matches

        raise NotFound(
            resource="step",
            reference=step,
            suggestions=get_close_matches(step, names),
            available=names[:50],
            hint=f"nexus pipeline step list {run.id}",
        )


async def session_named(context: ExecutionContext[Any], reference: str) -> str:
    """Return the session of a run; of a stream that an earlier process printed, its own."""
    if context.printed is not None:
        return context.printed.session_id
    return session_of(await run_named(context, reference))
