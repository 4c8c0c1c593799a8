"""One setting by its category and key."""

import asyncio

from pydantic import Field

from nexus.handlers.settings.config import READS, WRITES
from nexus.handlers.settings.settings import SettingChanged, told, write_setting
from nexus.schemas.command import Arguments, CommandHandler, ConfigValue, Effect, Example, ExecutionContext, Outcome


class OptionArguments(Arguments):
    category: str = Field(min_length=1, max_length=100, description="The category; `settings category list` has them.")
    key: str = Field(min_length=1, max_length=100, description="The key in its category.")

    @property
    def whole_key(self) -> str:
        """The setting's key in the configuration."""
        return f"{self.category}.{self.key}"


class GetOption(CommandHandler[OptionArguments, ConfigValue]):
    """Show one option and where its value came from."""

    path = ("settings", "option", "get")
    arguments = OptionArguments
    result = ConfigValue
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READS
    examples = (Example(line="nexus settings option get --category theme --key mode", shows="One option"),)

    async def execute(self, context: ExecutionContext[OptionArguments]) -> ConfigValue:
        return context.config.get(context.args.whole_key)


class SetOptionArguments(OptionArguments):
    value: str = Field(max_length=10_000, description="The value; it must be of the option's type.")


class SetOption(CommandHandler[SetOptionArguments, SettingChanged]):
    """Write one option to the configuration file."""

    path = ("settings", "option", "set")
    arguments = SetOptionArguments
    result = SettingChanged
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = WRITES
    examples = (
        Example(
            line="nexus settings option set --category workspace --key detail_mode --value expanded",
            shows="Write one option",
        ),
    )

    async def execute(self, context: ExecutionContext[SetOptionArguments]) -> Outcome[SettingChanged]:
        result = await asyncio.to_thread(write_setting, context.config, context.args.whole_key, context.args.value)
        return Outcome(result, message=told(result))
