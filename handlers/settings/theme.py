"""How people's output and pages look."""

import asyncio
from typing import Literal

from pydantic import Field

from nexus.handlers.settings.config import READS, WRITES
from nexus.handlers.settings.settings import CategoryView, view_of, write_category
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, NoArguments

Mode = Literal["auto", "dark", "light"]


class Theme(CategoryView):
    """The theme that holds now."""

    mode: Mode
    palette: str


class ThemeSet(Theme):
    """The theme as it holds now, and which fields changed."""

    changed: list[str]


class GetTheme(CommandHandler[NoArguments, Theme]):
    """Show the theme and where each part of it came from."""

    path = ("settings", "theme", "get")
    result = Theme
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READS
    examples = (Example(line="nexus settings theme get", shows="The theme"),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> Theme:
        return view_of(context.config, "theme", Theme)


class SetThemeArguments(Arguments):
    mode: Mode = Field(description="Dark, light, or what the terminal says.")
    palette: str | None = Field(default=None, min_length=1, max_length=100, description="The name of a palette.")


class SetTheme(CommandHandler[SetThemeArguments, ThemeSet]):
    """Set the theme."""

    path = ("settings", "theme", "set")
    arguments = SetThemeArguments
    result = ThemeSet
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = WRITES
    examples = (Example(line="nexus settings theme set --mode dark", shows="A dark theme"),)

    async def execute(self, context: ExecutionContext[SetThemeArguments]) -> ThemeSet:
        changed = await asyncio.to_thread(
            write_category, context.config, "theme", context.args.model_dump(by_alias=False, exclude_none=True)
        )
        return ThemeSet(**dict(view_of(context.config, "theme", Theme)), changed=changed)
