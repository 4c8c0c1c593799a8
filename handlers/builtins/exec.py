"""`exec`: one command line given as one argument, read without a shell."""

from pydantic import ConfigDict, Field

from nexus.schemas.command import Arguments, Effect, Example, ForwardingHandler
from nexus.schemas.errors import CommandNotFound, ParseError, UnknownOption, ValidationError
from nexus.schemas.front import Forward
from nexus.schemas.model import Model


class ExecArguments(Arguments):
    line: str = Field(
        description="A command line, with or without 'nexus' before it: 10,000 characters and 100 arguments at most.",
        json_schema_extra={"positional": True},
    )


class LineResult(Model):
    """What the command in the line answers."""

    model_config = ConfigDict(extra="allow")


class Exec(ForwardingHandler[ExecArguments, LineResult]):
    """Run one command line given as text, read without a shell.

    Quotes and backslashes mean what they mean to a shell; nothing else does: `$`, `;`, `|`, `>` and `*` are plain
    characters. The answer is the one that the same words give on the command line, but names are never abbreviated.
    Global flags hold for the command in the line unless it says otherwise.
    """

    path = ("exec",)
    arguments = ExecArguments
    result = LineResult
    effects = frozenset({Effect.WRITE})
    errors = (ParseError, CommandNotFound, UnknownOption, ValidationError)
    examples = (
        Example(line="""nexus exec 'agent project list --filter "a b"'""", shows="What the command in the line gives"),
    )

    def forward(self, args: ExecArguments) -> Forward:
        return Forward(args.line)
