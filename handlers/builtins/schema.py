"""`schema`: all that is known of commands, for programs: arguments, result, events, effects, errors, exit codes."""

from typing import Any

from pydantic import Field

from nexus.handlers.builtins.help import PathArguments
from nexus.schemas.command import CommandHandler, CommandSpec, Effect, Example, ExecutionContext
from nexus.schemas.context import ContextKind
from nexus.schemas.errors import AmbiguousCommand, CommandNotFound
from nexus.schemas.model import Model


class CommandSchema(Model):
    """One command. `arguments` and `result` are JSON Schemas; arguments are named as `--input` takes them."""

    command: str
    handler_id: str
    summary: str
    description: str
    arguments: dict[str, Any]
    result: dict[str, Any]
    events: list[str]
    effects: list[Effect]
    needs_confirmation: bool
    context: list[ContextKind]
    session_type: str | None
    errors: list[str]
    exit_codes: list[int]
    examples: list[Example]
    deprecated: str | None


class GlobalFlag(Model):
    """A flag that every command takes."""

    flags: list[str]
    kind: str
    choices: list[str]
    description: str


class Schema(Model):
    """The commands at and below a path, in order of their paths."""

    path: list[str]
    commands: list[CommandSchema]
    global_flags: list[GlobalFlag] = Field(default_factory=list, description="Given with the whole tree.")


class ShowSchema(CommandHandler[PathArguments, Schema]):
    """Show all that is known of a command, a level or the whole tree.

    Each command has its arguments and its result as JSON Schema, its events, effects, context needs, errors, exit
    codes and examples.
    """

    path = ("schema",)
    arguments = PathArguments
    result = Schema
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (CommandNotFound, AmbiguousCommand)
    examples = (
        Example(line="nexus schema agent project create", shows="One command"),
        Example(line="nexus schema agent --query 'commands[].command'", shows="The commands of a namespace"),
        Example(line="nexus schema", shows="The whole tree"),
    )

    async def execute(self, context: ExecutionContext[PathArguments]) -> Schema:
        node = context.catalog.find(context.args.path)
        specs = [node] if isinstance(node, CommandSpec) else context.catalog.commands(node.path)
        return Schema(
            path=list(node.path),
            commands=[_schema(spec) for spec in specs],
            global_flags=[] if node.path else _global_flags(context),
        )


def _schema(spec: CommandSpec) -> CommandSchema:
    return CommandSchema(
        command=" ".join(spec.path),
        handler_id=spec.handler_id,
        summary=spec.summary,
        description=spec.description,
        arguments=spec.arguments_schema,
        result=spec.result_schema,
        events=list(spec.events),
        effects=list(spec.effects),
        needs_confirmation=Effect.DESTRUCTIVE in spec.effects,
        context=list(spec.context),
        session_type=spec.session_type,
        errors=list(spec.errors),
        exit_codes=list(spec.exit_codes),
        examples=list(spec.examples),
        deprecated=spec.deprecated,
    )


def _global_flags(context: ExecutionContext[PathArguments]) -> list[GlobalFlag]:
    return [
        GlobalFlag(
            flags=list(option.flags), kind=option.kind, choices=list(option.choices), description=option.description
        )
        for option in context.catalog.global_options()
    ]
