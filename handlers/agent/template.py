"""Texts to start from."""

from typing import ClassVar

from pydantic import Field

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import ChangeArguments, Changed, changed, told
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.references import Collection, NameReference
from nexus.handlers.texts import text_given
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import Conflict, NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.project import Name
from nexus.schemas.template import NewTemplate, Template, TemplateChanges

MOST_CONTENT_BYTES = 4_000_000
"""A template is at most a million characters, and a character at most four bytes."""

CREATE_BUG = "nexus agent template create --name bug --content 'Seen: …  Expected: …' --category issues"
WITH_BUG = (CREATE_BUG,)

TEMPLATES = Collection(
    resource="template",
    listed_at="/api/templates",
    found_at="/api/templates/{id}",
    page=Page[Template],
    item=Template,
)


class ListTemplatesArguments(ListArguments):
    category: str | None = Field(default=None, max_length=200, description="Only those of this category.")
    favorites: bool = Field(default=False, description="Only the favourites.")


class ListTemplates(CommandHandler[ListTemplatesArguments, Page[Template]]):
    """List the templates."""

    path = ("agent", "template", "list")
    arguments = ListTemplatesArguments
    result = Page[Template]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus agent template list", shows="All templates"),
        Example(
            line="nexus agent template list --category issues --fields id,name",
            shows="Those of a category, two fields of each",
            needs=WITH_BUG,
        ),
    )

    async def execute(self, context: ExecutionContext[ListTemplatesArguments]) -> Page[Template]:
        query = query_of(context.args)
        if query.pop("favorites"):
            query["favorite"] = True
        return await context.api.get("/api/templates", Page[Template], query=query)


class TemplateReference(NameReference):
    """Which template."""


class ViewTemplate(CommandHandler[TemplateReference, Template]):
    """Show a template with its whole text."""

    path = ("agent", "template", "view")
    arguments = TemplateReference
    result = Template
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (Example(line="nexus agent template view --name bug", shows="One template", needs=WITH_BUG),)

    async def execute(self, context: ExecutionContext[TemplateReference]) -> Template:
        return await TEMPLATES.find(context.api, context.args)


class CreateTemplateArguments(Arguments):
    name: Name = Field(
        description="The template's name; no two templates have the same.", json_schema_extra={"short": "n"}
    )
    content: str = Field(
        min_length=1,
        max_length=1_000_000,
        description="The template's text; - reads it from standard input.",
        json_schema_extra={"stdin": True},
    )
    description: str | None = Field(default=None, max_length=10_000, description="What it is for.")
    category: str | None = Field(default=None, max_length=200, description="A word to sort templates by.")


class CreateTemplate(CommandHandler[CreateTemplateArguments, Template]):
    """Create a template."""

    path = ("agent", "template", "create")
    arguments = CreateTemplateArguments
    result = Template
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*WRITING, Conflict)
    examples = (Example(line=CREATE_BUG, shows="A template in a category"),)

    async def execute(self, context: ExecutionContext[CreateTemplateArguments]) -> Outcome[Template]:
        given = context.args
        content = await text_given(context, given.content, field="content", limit=MOST_CONTENT_BYTES)
        body = NewTemplate(name=given.name, content=content, description=given.description, category=given.category)
        template = await context.api.post("/api/templates", Template, body=body)
        return Outcome(template, message=f"Created the template {template.name!r}.")


class UpdateTemplateArguments(ChangeArguments):
    clearable: ClassVar[frozenset[str]] = frozenset({"description", "category"})

    name: Name | None = Field(default=None, description="A new name.", json_schema_extra={"short": "n"})
    content: str | None = Field(
        default=None,
        min_length=1,
        max_length=1_000_000,
        description="A new text; - reads it from standard input.",
        json_schema_extra={"stdin": True},
    )
    description: str | None = Field(
        default=None, max_length=10_000, description="A new description; empty text clears it."
    )
    category: str | None = Field(default=None, max_length=200, description="A new category; empty text clears it.")


class TemplateUpdated(Template, Changed):
    """The template as it is now, and what changed."""


class UpdateTemplate(CommandHandler[UpdateTemplateArguments, TemplateUpdated]):
    """Change a template; what is left out stays as it is.

    `changed` names the fields that are different now.
    """

    path = ("agent", "template", "update")
    arguments = UpdateTemplateArguments
    result = TemplateUpdated
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="nexus agent template update --id bug --description 'For bug reports'",
            shows="Say what it is for",
            needs=WITH_BUG,
        ),
    )

    async def execute(self, context: ExecutionContext[UpdateTemplateArguments]) -> Outcome[TemplateUpdated]:
        given = context.args
        before = await TEMPLATES.by_id_or_name(context.api, given.id)
        resolved = {}
        if given.content is not None:
            resolved["content"] = await text_given(context, given.content, field="content", limit=MOST_CONTENT_BYTES)
        body = given.body(TemplateChanges, **resolved)
        after = await context.api.patch("/api/templates/{id}", Template, at={"id": before.id}, body=body)
        result = changed(TemplateUpdated, before, after)
        return Outcome(result, message=told("template", after.name, result))


class DeleteTemplate(CommandHandler[TemplateReference, Deleted]):
    """Delete a template."""

    path = ("agent", "template", "delete")
    arguments = TemplateReference
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound)
    examples = (
        Example(line="nexus agent template delete --name bug --yes", shows="Delete a template", needs=WITH_BUG),
    )

    async def execute(self, context: ExecutionContext[TemplateReference]) -> Outcome[Deleted]:
        template = await TEMPLATES.find(context.api, context.args)
        deleted = await context.api.delete("/api/templates/{id}", Deleted, at={"id": template.id})
        return Outcome(deleted, message=f"Deleted the template {template.name!r}.")


class FavoriteArguments(TemplateReference):
    remove: bool = Field(default=False, description="Make it a favourite no more.")


class FavoriteTemplate(CommandHandler[FavoriteArguments, TemplateUpdated]):
    """Make a template a favourite, or with `--remove` one no more."""

    path = ("agent", "template", "favorite")
    arguments = FavoriteArguments
    result = TemplateUpdated
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound)
    examples = (
        Example(line="nexus agent template favorite --name bug", shows="Mark a favourite", needs=WITH_BUG),
        Example(
            line="nexus agent template favorite --name bug --remove",
            shows="Take the mark away",
            needs=(*WITH_BUG, "nexus agent template favorite --name bug"),
        ),
    )

    async def execute(self, context: ExecutionContext[FavoriteArguments]) -> Outcome[TemplateUpdated]:
        before = await TEMPLATES.find(context.api, context.args)
        body = TemplateChanges(favorite=not context.args.remove)
        after = await context.api.patch("/api/templates/{id}", Template, at={"id": before.id}, body=body)
        result = changed(TemplateUpdated, before, after)
        return Outcome(result, message=told("template", after.name, result))
