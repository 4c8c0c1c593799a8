"""Graphics processors of the kernel's machine."""

from nexus.handlers.api_errors import READING
from nexus.handlers.listing import ListArguments, query_of
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.gpu import Gpu
from nexus.schemas.page import Page


class ListGpus(CommandHandler[ListArguments, Page[Gpu]]):
    """List the graphics processors of the kernel's machine, with their memory and how busy they are.

    NVIDIA's are told of by its own nvidia-smi, others by Linux; what neither tells is null.
    """

    path = ("debug", "gpu", "list")
    arguments = ListArguments
    result = Page[Gpu]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus debug gpu list", shows="What there is to compute with"),
        Example(line="nexus debug gpu list --query 'items[?utilization<`10`].name'", shows="The idle ones"),
    )

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Gpu]:
        return await context.api.get("/api/gpu", Page[Gpu], query=query_of(context.args))
