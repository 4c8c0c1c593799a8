"""What the selected project is to become: titles, tags, status, progress."""

from typing import Any

from pydantic import Field

from nexus.handlers.agent.lineage import selecting_roadmap
from nexus.handlers.agent.project import CREATE_DEMO
from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import ChangeArguments, Changed, changed, told
from nexus.handlers.collections import ROADMAPS
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.references import NameReference
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.context import ContextUpdate
from nexus.schemas.errors import ContextMissing, NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.roadmap import (
    NewRoadmap,
    Progress,
    Roadmap,
    RoadmapChanges,
    RoadmapStatus,
    RoadmapSummary,
    Tag,
    Title,
)

IN_DEMO = (CREATE_DEMO, "nexus agent project select --name demo")
CREATE_RELEASE = "nexus agent roadmap create --title Release --tags v1,public"
WITH_RELEASE = (*IN_DEMO, CREATE_RELEASE)


class ListRoadmaps(CommandHandler[ListArguments, Page[Roadmap]]):
    """List the roadmaps of the selected project."""

    path = ("agent", "roadmap", "list")
    arguments = ListArguments
    result = Page[Roadmap]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("project",)
    errors = READING
    examples = (
        Example(line="nexus agent roadmap list", shows="The roadmaps of the selected project", needs=IN_DEMO),
        Example(
            line="nexus agent roadmap list --project demo --sort -progress",
            shows="Those of a project that need not be selected, the furthest first",
            needs=(CREATE_DEMO,),
        ),
    )

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Roadmap]:
        return await context.api.get(
            "/api/projects/{id}/roadmaps",
            Page[Roadmap],
            at={"id": context.selected("project")},
            query=query_of(context.args),
        )


class CreateRoadmapArguments(Arguments):
    title: Title = Field(description="The roadmap's title.", json_schema_extra={"short": "n", "aliases": ["name"]})
    tags: list[Tag] = Field(default_factory=list, max_length=100, description="Words to find it by.")
    select: bool = Field(default=False, description="Select the roadmap for the commands that follow.")


class CreateRoadmap(CommandHandler[CreateRoadmapArguments, Roadmap]):
    """Create a roadmap in the selected project.

    It begins as `planned` with a progress of 0. Nothing is selected unless `--select` asks for it.
    """

    path = ("agent", "roadmap", "create")
    arguments = CreateRoadmapArguments
    result = Roadmap
    effects = frozenset({Effect.WRITE})
    change = "created"
    context = ("project",)
    errors = (*WRITING, NotFound)
    examples = (Example(line=CREATE_RELEASE, shows="A roadmap with two tags", needs=IN_DEMO),)

    async def execute(self, context: ExecutionContext[CreateRoadmapArguments]) -> Outcome[Roadmap]:
        given = context.args
        roadmap = await context.api.post(
            "/api/projects/{id}/roadmaps",
            Roadmap,
            at={"id": context.selected("project")},
            body=NewRoadmap(title=given.title, tags=given.tags),
        )
        update = await selecting_roadmap(context, roadmap) if given.select else None
        return Outcome(roadmap, message=f"Created the roadmap {roadmap.title!r}.", context_update=update)


class RoadmapReference(NameReference):
    """Which roadmap of the selected project; its name is its title."""

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Its exact title.",
        json_schema_extra={"short": "n", "aliases": ["title"]},
    )


class ViewRoadmap(CommandHandler[RoadmapReference, Roadmap]):
    """Show a roadmap of the selected project."""

    path = ("agent", "roadmap", "view")
    arguments = RoadmapReference
    result = Roadmap
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("project",)
    errors = (*READING, NotFound)
    examples = (Example(line="nexus agent roadmap view --name Release", shows="One roadmap", needs=WITH_RELEASE),)

    async def execute(self, context: ExecutionContext[RoadmapReference]) -> Roadmap:
        return await ROADMAPS.within(context.selected("project")).find(context.api, context.args)


class SelectRoadmap(CommandHandler[RoadmapReference, Roadmap]):
    """Select a roadmap for the commands that follow.

    The selection of a chat is cleared: it belonged to the roadmap before. Where `--project` names another project
    than the selected one, that project is selected with it.
    """

    path = ("agent", "roadmap", "select")
    arguments = RoadmapReference
    result = Roadmap
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    context = ("project",)
    errors = (*READING, NotFound)
    examples = (Example(line="nexus agent roadmap select --name Release", shows="Work in one", needs=WITH_RELEASE),)

    async def execute(self, context: ExecutionContext[RoadmapReference]) -> Outcome[Roadmap]:
        roadmap = await ROADMAPS.within(context.selected("project")).find(context.api, context.args)
        update = await selecting_roadmap(context, roadmap)
        return Outcome(roadmap, message=f"Selected the roadmap {roadmap.title!r}.", context_update=update)


class UpdateRoadmapArguments(ChangeArguments):
    title: Title | None = Field(
        default=None, description="A new title.", json_schema_extra={"short": "n", "aliases": ["name"]}
    )
    tags: list[Tag] | None = Field(default=None, max_length=100, description="All its tags, in place of the old ones.")
    status: RoadmapStatus | None = Field(default=None, description="How the roadmap stands.")
    progress: Progress | None = Field(default=None, description="How far it is, in percent.")


class RoadmapUpdated(Roadmap, Changed):
    """The roadmap as it is now, and what changed."""


class UpdateRoadmap(CommandHandler[UpdateRoadmapArguments, RoadmapUpdated]):
    """Change a roadmap of the selected project; what is left out stays as it is.

    `changed` names the fields that are different now.
    """

    path = ("agent", "roadmap", "update")
    arguments = UpdateRoadmapArguments
    result = RoadmapUpdated
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    context = ("project",)
    errors = (*WRITING, NotFound)
    examples = (
        Example(
            line="nexus agent roadmap update --id Release --status active --progress 40",
            shows="A roadmap that is under way",
            needs=WITH_RELEASE,
        ),
    )

    async def execute(self, context: ExecutionContext[UpdateRoadmapArguments]) -> Outcome[RoadmapUpdated]:
        given = context.args
        before = await ROADMAPS.within(context.selected("project")).by_id_or_name(context.api, given.id)
        after = await context.api.patch(
            "/api/roadmaps/{id}", Roadmap, at={"id": before.id}, body=given.body(RoadmapChanges)
        )
        result = changed(RoadmapUpdated, before, after)
        return Outcome(result, message=told("roadmap", after.title, result))


class DeleteRoadmap(CommandHandler[RoadmapReference, Deleted]):
    """Delete a roadmap of the selected project with its chats and messages.

    `cascade` counts what went with it. If the roadmap was selected, the selection is cleared.
    """

    path = ("agent", "roadmap", "delete")
    arguments = RoadmapReference
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    context = ("project",)
    errors = (*WRITING, NotFound)
    examples = (
        Example(line="nexus agent roadmap delete --name Release --yes", shows="Delete a roadmap", needs=WITH_RELEASE),
    )

    async def execute(self, context: ExecutionContext[RoadmapReference]) -> Outcome[Deleted]:
        roadmap = await ROADMAPS.within(context.selected("project")).find(context.api, context.args)
        deleted = await context.api.delete("/api/roadmaps/{id}", Deleted, at={"id": roadmap.id})
        selected = context.contexts.load().roadmap
        update = ContextUpdate(clear=("roadmap", "chat")) if selected and selected.id == roadmap.id else None
        return Outcome(deleted, message=f"Deleted the roadmap {roadmap.title!r}.", context_update=update)


class StatusReference(RoadmapReference):
    """Which roadmap of the selected project; without either, the selected roadmap."""

    model_config = {"json_schema_extra": {"not": {"required": ["id", "name"]}}}

    optional = True


class RoadmapStatusOf(CommandHandler[StatusReference, RoadmapSummary]):
    """Tell how a roadmap stands: its status, its progress, and how much was said in it.

    Without `--id` or `--name` it is the selected roadmap.
    """

    path = ("agent", "roadmap", "status")
    arguments = StatusReference
    result = RoadmapSummary
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("project",)
    errors = (*READING, NotFound, ContextMissing)
    examples = (
        Example(line="nexus agent roadmap status --name Release", shows="How one roadmap stands", needs=WITH_RELEASE),
        Example(
            line="nexus agent roadmap status",
            shows="How the selected one stands",
            needs=(*WITH_RELEASE, "nexus agent roadmap select --name Release"),
        ),
    )

    async def execute(self, context: ExecutionContext[StatusReference]) -> RoadmapSummary:
        return await context.api.get("/api/roadmaps/{id}/status", RoadmapSummary, at={"id": await self._which(context)})

    async def _which(self, context: ExecutionContext[Any]) -> str:
        if context.args.id or context.args.name:
            return (await ROADMAPS.within(context.selected("project")).find(context.api, context.args)).id
        if context.context_state.roadmap is None:
            raise ContextMissing(needs="roadmap", hint="nexus agent roadmap list")
        return context.context_state.roadmap.id
