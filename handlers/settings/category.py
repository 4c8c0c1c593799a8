"""The categories that settings fall into."""

from nexus.handlers.listing import ListArguments, page_of
from nexus.handlers.settings.config import READS
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.model import Model
from nexus.schemas.page import Page


class Category(Model):
    """A category and the keys in it."""

    name: str
    keys: list[str]


class ListCategories(CommandHandler[ListArguments, Page[Category]]):
    """List the categories of settings with their keys."""

    path = ("settings", "category", "list")
    arguments = ListArguments
    result = Page[Category]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READS
    examples = (Example(line="nexus settings category list", shows="What can be set"),)

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Category]:
        categories = [
            Category(name=name, keys=[value.key.removeprefix(f"{name}.") for value in context.config.all(name)])
            for name in context.config.categories()
        ]
        return page_of(
            Page[Category],
            categories,
            context.args,
            identity=lambda category: category.name,
            sortable={"name": lambda category: category.name},
        )
