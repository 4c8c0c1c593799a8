"""How a person's workspace behaves."""

import asyncio
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nexus.handlers.settings.config import READS, WRITES
from nexus.handlers.settings.settings import CategoryView, view_of, write_category
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, NoArguments

DetailMode = Literal["minimal", "expanded"]


class Workspace(CategoryView):
    """The workspace's settings that hold now."""

    auto_open_terminal: bool
    detail_mode: DetailMode
    remember_last_path: bool


class WorkspaceSet(Workspace):
    """The settings as they hold now, and which fields changed."""

    changed: list[str]


class GetWorkspace(CommandHandler[NoArguments, Workspace]):
    """Show the workspace's settings and where each came from."""

    path = ("settings", "workspace", "get")
    result = Workspace
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READS
    examples = (Example(line="nexus settings workspace get", shows="The workspace's settings"),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> Workspace:
        return view_of(context.config, "workspace", Workspace)


class SetWorkspaceArguments(Arguments):
    auto_open_terminal: bool | None = Field(default=None, description="Whether a terminal opens with a project.")
    detail_mode: DetailMode | None = Field(default=None, description="How much is shown of each thing.")
    remember_last_path: bool | None = Field(
        default=None, description="Whether to come back to the folder that was open last."
    )

    @model_validator(mode="after")
    def _something_to_set(self) -> Self:
        if not self.wanted():
            raise PydanticCustomError(
                "nothing_to_change", "Give at least one of --auto-open-terminal, --detail-mode, --remember-last-path."
            )
        return self

    def wanted(self) -> dict[str, Any]:
        """Return what was given."""
        return self.model_dump(by_alias=False, exclude_none=True)


class SetWorkspace(CommandHandler[SetWorkspaceArguments, WorkspaceSet]):
    """Set how the workspace behaves; what is left out stays as it is."""

    path = ("settings", "workspace", "set")
    arguments = SetWorkspaceArguments
    result = WorkspaceSet
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = WRITES
    examples = (
        Example(line="nexus settings workspace set --detail-mode expanded", shows="Show more of each thing"),
        Example(line="nexus settings workspace set --no-remember-last-path", shows="Start at the top each time"),
    )

    async def execute(self, context: ExecutionContext[SetWorkspaceArguments]) -> WorkspaceSet:
        changed = await asyncio.to_thread(write_category, context.config, "workspace", context.args.wanted())
        return WorkspaceSet(**dict(view_of(context.config, "workspace", Workspace)), changed=changed)
