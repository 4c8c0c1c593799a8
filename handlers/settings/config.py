"""The client's configuration, and where each value came from."""

import asyncio
from typing import Any

from pydantic import Field

from nexus.handlers.listing import ListArguments, page_of
from nexus.handlers.settings.settings import SettingChanged, told, unset_setting, write_setting
from nexus.schemas.command import Arguments, CommandHandler, ConfigValue, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import NexusError, NotFound, StorageFull, StorageReadOnly, ValidationError
from nexus.schemas.page import MOST_ITEMS, Page

READS: tuple[type[NexusError], ...] = (NotFound, ValidationError)
WRITES: tuple[type[NexusError], ...] = (*READS, StorageReadOnly, StorageFull)


class ConfigView(Page[ConfigValue]):
    """Settings, each with its source; `path` is the file that `set` writes."""

    path: str


class ViewConfigArguments(ListArguments):
    limit: int = Field(default=MOST_ITEMS, ge=1, le=MOST_ITEMS, description="How many items at the most.")
    category: str | None = Field(default=None, min_length=1, max_length=100, description="Only this category.")


class ViewConfig(CommandHandler[ViewConfigArguments, ConfigView]):
    """Show every setting, its value, and where that came from: flag, environment, file or default."""

    path = ("settings", "config", "view")
    arguments = ViewConfigArguments
    result = ConfigView
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READS
    examples = (
        Example(line="nexus settings config view", shows="The whole configuration"),
        Example(line="nexus settings config view --category output", shows="One category"),
    )

    async def execute(self, context: ExecutionContext[ViewConfigArguments]) -> ConfigView:
        given = context.args
        page = page_of(
            Page[ConfigValue],
            context.config.all(given.category),
            given,
            identity=lambda setting: setting.key,
            sortable={"key": lambda setting: setting.key, "source": lambda setting: setting.source},
        )
        return ConfigView(**dict(page), path=str(context.config.path))


class KeyArguments(Arguments):
    key: str = Field(
        min_length=1,
        max_length=200,
        description="The setting, as CATEGORY.KEY.",
        json_schema_extra={"metavar": "CATEGORY.KEY"},
    )


class GetConfig(CommandHandler[KeyArguments, ConfigValue]):
    """Show one setting and where its value came from."""

    path = ("settings", "config", "get")
    arguments = KeyArguments
    result = ConfigValue
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READS
    examples = (Example(line="nexus settings config get --key output.format", shows="How answers are written"),)

    async def execute(self, context: ExecutionContext[KeyArguments]) -> ConfigValue:
        return context.config.get(context.args.key)


class SetConfigArguments(KeyArguments):
    value: str = Field(max_length=10_000, description="The value; it must be of the setting's type.")


class SetConfig(CommandHandler[SetConfigArguments, SettingChanged]):
    """Write one setting to the configuration file.

    A variable or a flag that decides the setting goes on deciding it, and the answer says so.
    """

    path = ("settings", "config", "set")
    arguments = SetConfigArguments
    result = SettingChanged
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = WRITES
    examples = (
        Example(line="nexus settings config set --key theme.mode --value dark", shows="Write one setting"),
        Example(line="nexus settings config set --key runtime.timeout --value 60", shows="Give up after a minute"),
    )

    async def execute(self, context: ExecutionContext[SetConfigArguments]) -> Outcome[SettingChanged]:
        result = await asyncio.to_thread(write_setting, context.config, context.args.key, context.args.value)
        return Outcome(result, message=told(result))


class UnsetConfig(CommandHandler[KeyArguments, SettingChanged]):
    """Take one setting out of the configuration file; what holds then is shown."""

    path = ("settings", "config", "unset")
    arguments = KeyArguments
    result = SettingChanged
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = WRITES
    examples = (
        Example(
            line="nexus settings config unset --key theme.mode",
            shows="Back to the default",
            needs=("nexus settings config set --key theme.mode --value dark",),
        ),
    )

    async def execute(self, context: ExecutionContext[Any]) -> Outcome[SettingChanged]:
        result = await asyncio.to_thread(unset_setting, context.config, context.args.key)
        return Outcome(result, message=told(result))
