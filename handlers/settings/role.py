"""Roles: what their users may do, as patterns of commands. What no role grants is denied."""

from typing import ClassVar

from pydantic import Field

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import ChangeArguments, Changed, changed, told
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.references import NameReference
from nexus.schemas.account import AccountName, GrantedRole, NewRole, PatternGrant, Patterns, Role, RoleChanges
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import Conflict, NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page

ONE = "/api/roles/{id}"
CREATE_WRITER = "nexus settings role create --name writer --pattern 'agent.file.*,agent.project.list'"
WITH_WRITER = (CREATE_WRITER,)

_PATTERN = "Commands with dots, as agent.project.list; * is any word, and at the end all that follow."


class ListRoles(CommandHandler[ListArguments, Page[Role]]):
    """List the roles and what they grant."""

    path = ("settings", "role", "list")
    arguments = ListArguments
    result = Page[Role]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (Example(line="nexus settings role list", shows="The built-in roles, and yours"),)

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Role]:
        return await context.api.get("/api/roles", Page[Role], query=query_of(context.args))


class CreateRoleArguments(Arguments):
    name: AccountName = Field(description="The role's name.", json_schema_extra={"short": "n"})
    description: str | None = Field(default=None, max_length=1000, description="What it is for.")
    pattern: Patterns = Field(default_factory=list, description=_PATTERN)


class CreateRole(CommandHandler[CreateRoleArguments, Role]):
    """Create a role."""

    path = ("settings", "role", "create")
    arguments = CreateRoleArguments
    result = Role
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*WRITING, Conflict)
    examples = (Example(line=CREATE_WRITER, shows="A role for who works on files"),)

    async def execute(self, context: ExecutionContext[CreateRoleArguments]) -> Outcome[Role]:
        given = context.args
        body = NewRole(name=given.name, description=given.description, patterns=given.pattern)
        role = await context.api.post("/api/roles", Role, body=body)
        return Outcome(role, message=f"Created the role {role.name}.")


class UpdatedRole(Role, Changed):
    """The role as it is now."""


class UpdateRoleArguments(ChangeArguments):
    clearable: ClassVar[frozenset[str]] = frozenset({"description"})

    name: AccountName | None = Field(default=None, description="A new name.", json_schema_extra={"short": "n"})
    description: str | None = Field(default=None, max_length=1000, description="What it is for.")


class UpdateRole(CommandHandler[UpdateRoleArguments, UpdatedRole]):
    """Rename a role, or say what it is for. Built-in roles stay as they are."""

    path = ("settings", "role", "update")
    arguments = UpdateRoleArguments
    result = UpdatedRole
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (*WRITING, Conflict, NotFound)
    examples = (
        Example(line="nexus settings role update --id writer --description Files", shows="Say why", needs=WITH_WRITER),
    )

    async def execute(self, context: ExecutionContext[UpdateRoleArguments]) -> Outcome[UpdatedRole]:
        given = context.args
        before = await context.api.get(ONE, Role, at={"id": given.id})
        role = await context.api.patch(ONE, Role, at={"id": before.id}, body=given.body(RoleChanges))
        result = changed(UpdatedRole, before, role)
        return Outcome(result, message=told("role", role.name, result))


class RoleReference(NameReference):
    """Which role."""


class DeleteRole(CommandHandler[RoleReference, Deleted]):
    """Delete a role; whoever had it may do what their other roles grant."""

    path = ("settings", "role", "delete")
    arguments = RoleReference
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(line="nexus settings role delete --name writer --yes", shows="Be rid of one", needs=WITH_WRITER),
    )

    async def execute(self, context: ExecutionContext[RoleReference]) -> Deleted:
        return await context.api.delete(ONE, Deleted, at={"id": context.args.text})


class RolePatternArguments(RoleReference):
    pattern: Patterns = Field(min_length=1, description=_PATTERN)


class GrantPatterns(CommandHandler[RolePatternArguments, GrantedRole]):
    """Have a role grant more commands."""

    path = ("settings", "role", "grant")
    arguments = RolePatternArguments
    result = GrantedRole
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="nexus settings role grant --name writer --pattern agent.template.list",
            shows="Let it see templates",
            needs=WITH_WRITER,
        ),
    )

    async def execute(self, context: ExecutionContext[RolePatternArguments]) -> Outcome[GrantedRole]:
        return await _granted(context, f"{ONE}/patterns")


class RevokePatterns(CommandHandler[RolePatternArguments, GrantedRole]):
    """Have a role grant these patterns no more; they are named as they were granted."""

    path = ("settings", "role", "revoke")
    arguments = RolePatternArguments
    result = GrantedRole
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="nexus settings role revoke --name writer --pattern agent.project.list",
            shows="Hide projects from it",
            needs=WITH_WRITER,
        ),
    )

    async def execute(self, context: ExecutionContext[RolePatternArguments]) -> Outcome[GrantedRole]:
        return await _granted(context, f"{ONE}/patterns/revoke")


async def _granted(context: ExecutionContext[RolePatternArguments], place: str) -> Outcome[GrantedRole]:
    """Have a role grant more or less, and say whether that made a difference."""
    body = PatternGrant(patterns=context.args.pattern)
    role = await context.api.post(place, GrantedRole, at={"id": context.args.text}, body=body)
    return Outcome(role, change="unchanged" if role.changed == [] else "updated")
