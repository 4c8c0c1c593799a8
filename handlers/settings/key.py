"""API keys of yours on a server; `settings auth token` makes one."""

from pydantic import Field

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.listing import ListArguments, query_of
from nexus.schemas.account import ApiKey
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.errors import NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page


class ListKeys(CommandHandler[ListArguments, Page[ApiKey]]):
    """List your API keys: what they may do, and when they were last used. The keys themselves are not kept."""

    path = ("settings", "key", "list")
    arguments = ListArguments
    result = Page[ApiKey]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (Example(line="nexus settings key list", shows="Your keys"),)

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[ApiKey]:
        return await context.api.get("/api/auth/keys", Page[ApiKey], query=query_of(context.args))


class KeyArguments(Arguments):
    id: str = Field(min_length=1, max_length=200, description="Its id.")


class DeleteKey(CommandHandler[KeyArguments, Deleted]):
    """Take an API key away: whoever uses it is refused from then on."""

    path = ("settings", "key", "delete")
    arguments = KeyArguments
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound)
    examples = (Example(line="nexus settings key delete --id key_1 --dry-run", shows="What would be done"),)

    async def execute(self, context: ExecutionContext[KeyArguments]) -> Deleted:
        return await context.api.delete("/api/auth/keys/{id}", Deleted, at={"id": context.args.id})
