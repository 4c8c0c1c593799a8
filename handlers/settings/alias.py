"""`settings alias`: names of your own for commands."""

from typing import Literal

from pydantic import Field

from nexus.handlers.listing import ListArguments, page_of
from nexus.schemas.command import (
    AliasSpec,
    Arguments,
    CommandHandler,
    Effect,
    Example,
    ExecutionContext,
    Outcome,
)
from nexus.schemas.errors import CommandNotFound, ConfigInvalid, Conflict, NotFound, StorageFull, StorageReadOnly
from nexus.schemas.model import Model
from nexus.schemas.page import Page

_SET_DEMO = "nexus settings alias set --name pl --command 'agent project list'"


class Alias(Model):
    """A name and the command that it stands for."""

    name: str
    command: str


class AliasChanged(Alias):
    """What was done, and what the name stood for before."""

    change: Literal["created", "updated", "unchanged", "deleted"]
    before: str | None = None


class ListAliases(CommandHandler[ListArguments, Page[Alias]]):
    """List your aliases."""

    path = ("settings", "alias", "list")
    arguments = ListArguments
    result = Page[Alias]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (ConfigInvalid,)
    examples = (Example(line="nexus settings alias list", shows="Your aliases", needs=(_SET_DEMO,)),)

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Alias]:
        return page_of(
            Page[Alias],
            map(_alias, context.aliases.list()),
            context.args,
            identity=lambda alias: alias.name,
            sortable={"name": lambda alias: alias.name, "command": lambda alias: alias.command},
        )


class NameArguments(Arguments):
    name: str = Field(min_length=1, max_length=64, description="The alias, one word.", json_schema_extra={"short": "n"})


class SetAliasArguments(NameArguments):
    command: str = Field(
        min_length=1, max_length=500, description="The command that it stands for, as in 'agent project list'."
    )


class SetAlias(CommandHandler[SetAliasArguments, AliasChanged]):
    """Name a command by one word of your own.

    It stands for the command's words; flags follow it as they follow the command. A name that nexus has itself is
    refused, and a command that comes later wins over an alias.
    """

    path = ("settings", "alias", "set")
    arguments = SetAliasArguments
    result = AliasChanged
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (Conflict, NotFound, CommandNotFound, ConfigInvalid, StorageReadOnly, StorageFull)
    examples = (Example(line=_SET_DEMO, shows="nexus pl is nexus agent project list"),)

    async def execute(self, context: ExecutionContext[SetAliasArguments]) -> Outcome[AliasChanged]:
        words = context.args.command.split()
        target = tuple(words[1:] if words[:1] == ["nexus"] else words)
        alias, before = await context.aliases.set(context.args.name, target)
        if before is None:
            change: Literal["created", "updated", "unchanged"] = "created"
        else:
            change = "unchanged" if before == alias.target else "updated"
        told = _alias(alias)
        result = AliasChanged(**dict(told), change=change, before=" ".join(before) if before else None)
        return Outcome(result, message=f"nexus {told.name} is nexus {told.command}.")


class DeleteAlias(CommandHandler[NameArguments, AliasChanged]):
    """Take one of your aliases away; the command stays."""

    path = ("settings", "alias", "delete")
    arguments = NameArguments
    result = AliasChanged
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (NotFound, ConfigInvalid, StorageReadOnly, StorageFull)
    examples = (Example(line="nexus settings alias delete --name pl", shows="Forget an alias", needs=(_SET_DEMO,)),)

    async def execute(self, context: ExecutionContext[NameArguments]) -> AliasChanged:
        gone = _alias(await context.aliases.delete(context.args.name))
        return AliasChanged(**dict(gone), change="deleted", before=gone.command)


def _alias(spec: AliasSpec) -> Alias:
    return Alias(name=" ".join(spec.path), command=" ".join(spec.target))
