"""`settings plugin`: what adds commands and more, where each is from, and what each may do."""

from pathlib import Path
from typing import Any

from pydantic import Field

from nexus.handlers.listing import ListArguments, page_of
from nexus.handlers.places import absolute
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import (
    ConfigInvalid,
    Conflict,
    NotFound,
    PluginError,
    PluginInvalid,
    StorageFull,
    StorageReadOnly,
    ValidationError,
)
from nexus.schemas.model import Model
from nexus.schemas.page import Page
from nexus.schemas.plugin import Plugin, PluginChanged, PluginKind, PluginStore, PluginView

_CREATE = "nexus settings plugin create --name weather"
_CREATE_HERE = f"{_CREATE} --folder ."
_WRITING = (ConfigInvalid, StorageReadOnly, StorageFull)


def _store(context: ExecutionContext[Any]) -> PluginStore:
    if context.plugins is None:
        raise PluginError.because("This process has no plugins.")
    return context.plugins


class ListPlugins(CommandHandler[ListArguments, Page[Plugin]]):
    """List the plugins that were found, and why one does not run.

    They are found as installed packages, in your own folder, and in the folders of the project around you:
    .nexus/plugins and aether/plugins. A project's plugin runs only after you trusted it.
    """

    path = ("settings", "plugin", "list")
    arguments = ListArguments
    result = Page[Plugin]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    examples = (Example(line="nexus settings plugin list", shows="Your plugins", needs=(_CREATE,)),)

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Plugin]:
        return page_of(
            Page[Plugin],
            await _store(context).list(),
            context.args,
            identity=lambda plugin: f"{plugin.name} {plugin.path}",
            sortable={
                "name": lambda plugin: plugin.name,
                "state": lambda plugin: plugin.state,
                "origin": lambda plugin: plugin.origin,
            },
        )


class PluginArguments(Arguments):
    name: str = Field(
        min_length=1,
        max_length=200,
        description="The plugin.",
        json_schema_extra={"positional": True, "flag": True, "short": "n"},
    )


class ViewPlugin(CommandHandler[PluginArguments, PluginView]):
    """Show a plugin: its commands and hooks, what it needs, the rights that it asks for and those that it has."""

    path = ("settings", "plugin", "view")
    arguments = PluginArguments
    result = PluginView
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (NotFound,)
    examples = (Example(line="nexus settings plugin view --name weather", shows="One plugin", needs=(_CREATE,)),)

    async def execute(self, context: ExecutionContext[PluginArguments]) -> PluginView:
        return await _store(context).view(context.args.name)


class CreatePluginArguments(PluginArguments):
    kind: PluginKind = Field(default="custom", description="What it does: io, processor, adapter or custom.")
    folder: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="Write it below this folder, and not where your own plugins are.",
        json_schema_extra={"metavar": "PATH"},
    )
    template: str = Field(
        default="command", max_length=40, description="The built-in template, or a scaffold that a plugin brings."
    )


class CreatePlugin(CommandHandler[CreatePluginArguments, PluginChanged]):
    """Write a new plugin that works: a manifest, two commands, and a test that runs them."""

    path = ("settings", "plugin", "create")
    arguments = CreatePluginArguments
    result = PluginChanged
    effects = frozenset({Effect.WRITE})
    errors = (Conflict, NotFound, ValidationError, PluginInvalid, *_WRITING)
    examples = (Example(line=_CREATE, shows="A plugin whose command is nexus weather greeting say"),)

    async def execute(self, context: ExecutionContext[CreatePluginArguments]) -> Outcome[PluginChanged]:
        given = context.args
        folder = _path(given.folder, context) if given.folder is not None else None
        made = await _store(context).create(given.name, kind=given.kind, folder=folder, template=given.template)
        return Outcome(made, message=f"The plugin {made.name} is in {made.path}.")


def _path(text: str, context: ExecutionContext[Any]) -> Path:
    return Path(absolute(text, context.cwd, context.environment)).absolute()


class GrantArguments(Arguments):
    grant: list[str] = Field(
        default_factory=list,
        max_length=100,
        description="Rights that it asks for and that you give it, as view names them; all or none stand for each.",
        json_schema_extra={"metavar": "RIGHTS"},
    )


class InstallPluginArguments(GrantArguments):
    source: str = Field(
        min_length=1,
        max_length=4096,
        description="A folder with a plugin.yml, or a zip file of one.",
        json_schema_extra={"positional": True},
    )
    replace: bool = Field(default=False, description="Take the place of another version that is installed.")


class InstallPlugin(CommandHandler[InstallPluginArguments, PluginChanged]):
    """Copy a plugin into your own folder.

    It has none of the rights that it asks for unless you grant them, here or with trust. Packages with plugins are
    installed by pip beside nexus, and are found there.
    """

    path = ("settings", "plugin", "install")
    arguments = InstallPluginArguments
    result = PluginChanged
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (NotFound, Conflict, ValidationError, PluginInvalid, *_WRITING)
    examples = (
        Example(line="nexus settings plugin install ./weather", shows="A plugin from a folder", needs=(_CREATE_HERE,)),
    )

    async def execute(self, context: ExecutionContext[InstallPluginArguments]) -> Outcome[PluginChanged]:
        given = context.args
        source = _path(given.source, context)
        made = await _store(context).install(source, grants=given.grant or None, replace=given.replace)
        return Outcome(made, message=_said(made))


class RemovePlugin(CommandHandler[PluginArguments, PluginChanged]):
    """Delete a plugin of your own folder, and the data that it kept. Nothing of it is run."""

    path = ("settings", "plugin", "remove")
    arguments = PluginArguments
    result = PluginChanged
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE})
    errors = (NotFound, ValidationError, *_WRITING)
    examples = (
        Example(line="nexus settings plugin remove --name weather --yes", shows="A plugin gone", needs=(_CREATE,)),
    )

    async def execute(self, context: ExecutionContext[PluginArguments]) -> Outcome[PluginChanged]:
        gone = await _store(context).remove(context.args.name)
        return Outcome(gone, message=_said(gone))


class EnablePlugin(CommandHandler[PluginArguments, PluginChanged]):
    """Turn a plugin on again."""

    path = ("settings", "plugin", "enable")
    arguments = PluginArguments
    result = PluginChanged
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (NotFound, *_WRITING)
    examples = (Example(line="nexus settings plugin enable --name weather", shows="A plugin on", needs=(_CREATE,)),)

    async def execute(self, context: ExecutionContext[PluginArguments]) -> Outcome[PluginChanged]:
        made = await _store(context).enable(context.args.name, True)
        return Outcome(made, message=_said(made))


class DisablePlugin(CommandHandler[PluginArguments, PluginChanged]):
    """Turn a plugin off: it has no commands then, and nothing of it runs."""

    path = ("settings", "plugin", "disable")
    arguments = PluginArguments
    result = PluginChanged
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (NotFound, *_WRITING)
    examples = (Example(line="nexus settings plugin disable --name weather", shows="A plugin off", needs=(_CREATE,)),)

    async def execute(self, context: ExecutionContext[PluginArguments]) -> Outcome[PluginChanged]:
        made = await _store(context).enable(context.args.name, False)
        return Outcome(made, message=_said(made))


class TrustPluginArguments(PluginArguments, GrantArguments):
    """Without --grant all rights are given that the plugin asks for."""


class TrustPlugin(CommandHandler[TrustPluginArguments, PluginChanged]):
    """Trust a plugin's files as they are now, and give it the rights that it asks for, or only some of them.

    A project's plugin runs only when it was trusted; when one of its files changes it wants to be trusted again.
    """

    path = ("settings", "plugin", "trust")
    # A person gives rights; no agent that calls a tool gives them to itself.
    command_line_only = True
    arguments = TrustPluginArguments
    result = PluginChanged
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (NotFound, ValidationError, PluginInvalid, *_WRITING)
    examples = (
        Example(
            line="nexus settings plugin trust --name weather", shows="All rights that it asks for", needs=(_CREATE,)
        ),
    )

    async def execute(self, context: ExecutionContext[TrustPluginArguments]) -> Outcome[PluginChanged]:
        made = await _store(context).trust(context.args.name, grants=context.args.grant or None)
        rights = ", ".join(made.granted) or "no rights beyond its own folder"
        return Outcome(made, message=f"The plugin {made.name} is trusted as it is now, with {rights}.")


class ReloadArguments(Arguments):
    name: str | None = Field(
        default=None, max_length=200, description="The plugin; all without it.", json_schema_extra={"short": "n"}
    )


class Reloaded(Model):
    """The plugins whose next command runs in a new process; `updated` where there was one that ended."""

    items: list[PluginChanged]


class ReloadPlugin(CommandHandler[ReloadArguments, Reloaded]):
    """Run the next command of a plugin in a new process. Changed files are noticed without it."""

    path = ("settings", "plugin", "reload")
    arguments = ReloadArguments
    result = Reloaded
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (NotFound,)
    examples = (Example(line="nexus settings plugin reload --name weather", shows="A new process", needs=(_CREATE,)),)

    async def execute(self, context: ExecutionContext[ReloadArguments]) -> Reloaded:
        return Reloaded(items=await _store(context).reload(context.args.name))


def _said(made: PluginChanged) -> str:
    state = "" if made.change == "deleted" else f"; it is {made.state}"
    return f"The plugin {made.name}: {made.change}{state}."
