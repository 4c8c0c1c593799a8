"""`batch`: many commands over one stdin."""

from pydantic import Field

from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.envelope import Envelope
from nexus.schemas.errors import InputInvalid
from nexus.schemas.stream import OutputStream


class BatchArguments(Arguments):
    parallel: int = Field(default=1, ge=1, le=64, description="How many commands run at a time.")
    stop_on_error: bool = Field(
        default=False, description="Begin nothing after a command failed; what had begun is finished and told."
    )


class RunBatch(CommandHandler[BatchArguments, OutputStream]):
    """Run the commands on stdin, one a line; print an envelope a line, in their order.

    A line is `{"command": "agent project list"}`, read as by exec, or `{"path": "agent.project.list", "args": {}}`,
    where args may hold global flags by their names (project, fields, yes, timeout). An `id` becomes the envelope's
    requestId. Names are never abbreviated. A command that streams gives its events as the items of its envelope. The
    exit status is 0, or that of the first command that failed.
    """

    path = ("batch",)
    arguments = BatchArguments
    result = Envelope
    effects = frozenset({Effect.WRITE})
    command_line_only = True
    errors = (InputInvalid,)
    examples = (
        Example(
            line="""nexus batch <<< '{"command": "agent project list --limit 5"}'""",
            shows="A command as a line",
        ),
        Example(
            line="""nexus batch <<< '{"path": "agent.project.list", "args": {"limit": 5}, "id": 7}'""",
            shows="A command as its path and arguments, with an id",
        ),
    )

    async def execute(self, context: ExecutionContext[BatchArguments]) -> OutputStream:
        return context.fronts.batch(parallel=context.args.parallel, stop_on_error=context.args.stop_on_error)
