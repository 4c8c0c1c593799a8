"""Projects, each with a folder of content."""

from typing import Any, ClassVar

from pydantic import Field

from nexus.handlers import places
from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import ChangeArguments, Changed, changed, told
from nexus.handlers.collections import PROJECTS
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.references import NameReference
from nexus.schemas.command import Arguments, Change, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.context import ContextUpdate
from nexus.schemas.errors import Conflict, GitFailed, NotFound, ReportedError
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.project import Name, NewProject, Project, ProjectChanges, ProjectDetails, ProjectStatus

CREATE_DEMO = "nexus agent project create --name demo"


class ListProjectsArguments(ListArguments):
    include_hidden: bool = Field(default=False, description="List hidden projects too.")


class ListProjects(CommandHandler[ListProjectsArguments, Page[Project]]):
    """List the projects.

    One page, by name unless `--sort` says otherwise; hidden projects are left out unless asked for.
    """

    path = ("agent", "project", "list")
    arguments = ListProjectsArguments
    result = Page[Project]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus agent project list", shows="All projects"),
        Example(
            line="nexus agent project list --filter dem --query 'items[].name'",
            shows="The names of the projects that contain a text",
            needs=(CREATE_DEMO,),
        ),
    )

    async def execute(self, context: ExecutionContext[ListProjectsArguments]) -> Page[Project]:
        return await context.api.get("/api/projects", Page[Project], query=query_of(context.args))


class CreateProjectArguments(Arguments):
    name: Name = Field(
        description="The project's name; no two projects have the same.", json_schema_extra={"short": "n"}
    )
    category: str | None = Field(default=None, max_length=200, description="A word to sort projects by.")
    description: str | None = Field(default=None, max_length=10_000, description="What the project is about.")
    content_path: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="The folder of the project's files; without it the kernel makes one of its own.",
    )
    git_url: str | None = Field(
        default=None, min_length=1, max_length=2048, description="A git repository to clone into the folder."
    )
    hidden: bool = Field(default=False, description="Leave the project out of lists that do not ask for hidden ones.")
    select: bool = Field(default=False, description="Select the project for the commands that follow.")
    if_absent: bool = Field(default=False, description="Return the project of this name when there is one already.")


class CreateProject(CommandHandler[CreateProjectArguments, Project]):
    """Create a project.

    The folder `--content-path` must exist unless `--git-url` fills it; a relative path starts at your working
    directory. Nothing is selected unless `--select` asks for it. With `--if-absent` a project of this name that is
    there already is the answer, as it is.
    """

    path = ("agent", "project", "create")
    arguments = CreateProjectArguments
    result = Project
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*WRITING, Conflict, GitFailed)
    examples = (
        Example(line="nexus agent project create --name demo", shows="A project with a folder of its own"),
        Example(
            line="nexus agent project create --name here --content-path . --select",
            shows="A project of the current folder, selected at once",
        ),
    )

    async def execute(self, context: ExecutionContext[CreateProjectArguments]) -> Outcome[Project]:
        given = context.args
        body = NewProject.model_validate(
            {
                **given.model_dump(exclude={"select", "if_absent"}, exclude_none=True, by_alias=False),
                **_resolved(context, given),
            }
        )
        change: Change = "created"
        message = f"Created the project {given.name!r}."
        try:
            project = await context.api.post("/api/projects", Project, body=body)
        except ReportedError as error:
            if not given.if_absent or error.reported.code != Conflict.code:
                raise
            project = await PROJECTS.find(context.api, NameReference(name=given.name))
            change, message = "unchanged", f"The project {project.name!r} is there already."
        update = ContextUpdate(select={"project": PROJECTS.selection(project)}) if given.select else None
        return Outcome(project, message=message, context_update=update, change=change)


class ProjectReference(NameReference):
    """Which project."""


class ViewProject(CommandHandler[ProjectReference, ProjectDetails]):
    """Show a project with the number of its roadmaps and chats."""

    path = ("agent", "project", "view")
    arguments = ProjectReference
    result = ProjectDetails
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (Example(line="nexus agent project view --name demo", shows="One project", needs=(CREATE_DEMO,)),)

    async def execute(self, context: ExecutionContext[ProjectReference]) -> ProjectDetails:
        project = await PROJECTS.find(context.api, context.args)
        return await context.api.get("/api/projects/{id}/details", ProjectDetails, at={"id": project.id})


class SelectProject(CommandHandler[ProjectReference, Project]):
    """Select a project for the commands that follow.

    The selections of a roadmap and a chat are cleared: they belonged to the project before. Use `--context NAME` to
    select in a named context of your own.
    """

    path = ("agent", "project", "select")
    arguments = ProjectReference
    result = Project
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*READING, NotFound)
    examples = (
        Example(line="nexus agent project select --name demo", shows="Work in a project", needs=(CREATE_DEMO,)),
    )

    async def execute(self, context: ExecutionContext[ProjectReference]) -> Outcome[Project]:
        project = await PROJECTS.find(context.api, context.args)
        update = ContextUpdate(select={"project": PROJECTS.selection(project)})
        return Outcome(project, message=f"Selected the project {project.name!r}.", context_update=update)


class UpdateProjectArguments(ChangeArguments):
    clearable: ClassVar[frozenset[str]] = frozenset({"category", "description", "git_url"})

    name: Name | None = Field(default=None, description="A new name.", json_schema_extra={"short": "n"})
    category: str | None = Field(default=None, max_length=200, description="A new category; empty text clears it.")
    description: str | None = Field(
        default=None, max_length=10_000, description="A new description; empty text clears it."
    )
    status: ProjectStatus | None = Field(default=None, description="How the project stands.")
    theme: dict[str, Any] | None = Field(
        default=None,
        description='The project\'s theme as a JSON object, such as {"mode":"dark"}; replaces the old one.',
    )
    content_path: str | None = Field(
        default=None, min_length=1, max_length=4096, description="Another existing folder for the project's files."
    )
    git_url: str | None = Field(
        default=None,
        max_length=2048,
        description="The repository it came from; nothing is cloned; empty text clears it.",
    )
    hidden: bool | None = Field(default=None, description="Whether lists leave the project out.")


class ProjectUpdated(Project, Changed):
    """The project as it is now, and what changed."""


class UpdateProject(CommandHandler[UpdateProjectArguments, ProjectUpdated]):
    """Change a project; what is left out stays as it is.

    `changed` names the fields that are different now.
    """

    path = ("agent", "project", "update")
    arguments = UpdateProjectArguments
    result = ProjectUpdated
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="""nexus agent project update --id demo --status paused --theme '{"mode":"dark"}'""",
            shows="Another status and theme",
            needs=(CREATE_DEMO,),
        ),
    )

    async def execute(self, context: ExecutionContext[UpdateProjectArguments]) -> Outcome[ProjectUpdated]:
        given = context.args
        before = await PROJECTS.by_id_or_name(context.api, given.id)
        after = await context.api.patch(
            "/api/projects/{id}",
            Project,
            at={"id": before.id},
            body=given.body(ProjectChanges, **_resolved(context, given)),
        )
        result = changed(ProjectUpdated, before, after)
        return Outcome(result, message=told("project", after.name, result))


class DeleteProject(CommandHandler[ProjectReference, Deleted]):
    """Delete a project with its roadmaps, chats and messages, and its pipelines with their runs.

    A folder that the kernel made goes too; a folder that was given by `--content-path` stays on the disk. `cascade`
    counts what went with it. If the project was selected, the selection is cleared.
    """

    path = ("agent", "project", "delete")
    arguments = ProjectReference
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound)
    examples = (
        Example(line="nexus agent project delete --name demo --yes", shows="Delete a project", needs=(CREATE_DEMO,)),
    )

    async def execute(self, context: ExecutionContext[ProjectReference]) -> Outcome[Deleted]:
        project = await PROJECTS.find(context.api, context.args)
        deleted = await context.api.delete("/api/projects/{id}", Deleted, at={"id": project.id})
        selected = context.contexts.load().project
        update = ContextUpdate(clear=("project", "roadmap", "chat")) if selected and selected.id == project.id else None
        return Outcome(deleted, message=f"Deleted the project {project.name!r}.", context_update=update)


def _resolved(context: ExecutionContext[Any], given: CreateProjectArguments | UpdateProjectArguments) -> dict[str, str]:
    """Return the given places as absolute ones: the kernel's working directory is not the caller's."""
    resolved = {}
    if given.content_path is not None:
        resolved["content_path"] = places.absolute(given.content_path, context.cwd, context.environment)
    if given.git_url:
        resolved["git_url"] = places.repository(given.git_url, context.cwd, context.environment)
    return resolved
