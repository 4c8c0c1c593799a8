"""`completion`: what makes a shell complete nexus, and what it then asks."""

from pydantic import Field

from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.front import Shell
from nexus.schemas.model import Model
from nexus.schemas.stream import OutputStream


class CompletionArguments(Arguments):
    shell: Shell = Field(description="Your shell.", json_schema_extra={"positional": True})
    line: str | None = Field(
        default=None,
        max_length=100_000,
        description="Answer for this line, typed up to the cursor; the script asks so.",
    )
    words: list[str] = Field(
        default_factory=list,
        max_length=10_000,
        description="Answer for these words after the command's name, the cursor's own last.",
        json_schema_extra={"positional": True, "rest": True},
    )


class CompletionText(Model):
    """The script, or the candidates: text as the shell reads it, not JSON."""


class Complete(CommandHandler[CompletionArguments, OutputStream]):
    """Print the script that makes a shell complete commands, flags and values.

    Put it where your shell looks: bash ~/.local/share/bash-completion/completions/nexus, zsh a file _nexus in your
    fpath, fish ~/.config/fish/completions/nexus.fish. Names of projects and the like come from what is there now.
    """

    path = ("completion",)
    arguments = CompletionArguments
    result = CompletionText
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    command_line_only = True
    examples = (
        Example(line="nexus completion bash", shows="The script for bash"),
        Example(line="nexus completion fish --line 'nexus agent pro'", shows="What may come next on a line"),
    )

    async def execute(self, context: ExecutionContext[CompletionArguments]) -> OutputStream:
        given = context.args
        if given.line is None and not given.words:
            return context.fronts.completion_script(given.shell)
        return await context.fronts.completion(given.shell, given.line, given.words)
