"""The users of a server, and of this machine's kernel where it is served."""

from typing import Any
from urllib.parse import quote

from pydantic import Field

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import Changed, changed, told
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.references import NameReference
from nexus.handlers.secrets_given import new_password_given
from nexus.schemas.account import AccountName, GrantedUser, NewUser, RoleGrant, User, UserChanges
from nexus.schemas.command import Arguments, Change, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import Conflict, NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page

ONE = "/api/users/{id}"
CREATE_ANNA = "nexus settings user create --name anna --without-password"
WITH_ANNA = (CREATE_ANNA,)


class ListUsers(CommandHandler[ListArguments, Page[User]]):
    """List the users with their roles."""

    path = ("settings", "user", "list")
    arguments = ListArguments
    result = Page[User]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (Example(line="nexus settings user list", shows="Everybody"),)

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[User]:
        return await context.api.get("/api/users", Page[User], query=query_of(context.args))


class CreateUserArguments(Arguments):
    name: AccountName = Field(description="The name to sign in with.", json_schema_extra={"short": "n"})
    role: list[AccountName] = Field(default_factory=list, max_length=50, description="Roles to begin with.")
    without_password: bool = Field(default=False, description="Let the user have API keys only.")


class CreateUser(CommandHandler[CreateUserArguments, User]):
    """Create a user, who may do nothing yet but what the given roles grant.

    The password is typed at the terminal, or read from standard input.
    """

    path = ("settings", "user", "create")
    arguments = CreateUserArguments
    result = User
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*WRITING, Conflict, NotFound)
    examples = (Example(line=CREATE_ANNA, shows="A user for programs"),)

    async def execute(self, context: ExecutionContext[CreateUserArguments]) -> Outcome[User]:
        given = context.args
        password = None
        if not given.without_password:
            password = await new_password_given(context, f"Password for {given.name}: ")
        body = NewUser(name=given.name, password=password, roles=given.role)
        user = await context.api.post("/api/users", User, body=body)
        return Outcome(user, message=f"Created the user {user.name}.")


class UpdatedUser(User, Changed):
    """The user as it is now."""


class UpdateUserArguments(Arguments):
    id: str = Field(min_length=1, max_length=200, description="Its id, or its exact name.")
    name: AccountName | None = Field(default=None, description="A new name.", json_schema_extra={"short": "n"})
    password: bool = Field(default=False, description="Set a password: typed, or read from standard input.")
    disabled: bool | None = Field(default=None, description="Keep the user out, or let them in again.")


class UpdateUser(CommandHandler[UpdateUserArguments, UpdatedUser]):
    """Rename a user, set a password, or keep a user out; what they were signed in by ends."""

    path = ("settings", "user", "update")
    arguments = UpdateUserArguments
    result = UpdatedUser
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (*WRITING, Conflict, NotFound)
    examples = (Example(line="nexus settings user update --id anna --disabled", shows="Keep out", needs=WITH_ANNA),)

    async def execute(self, context: ExecutionContext[UpdateUserArguments]) -> Outcome[UpdatedUser]:
        given = context.args
        before = await context.api.get(ONE, User, at={"id": given.id})
        wanted: dict[str, Any] = {"name": given.name, "disabled": given.disabled}
        if given.password:
            prompt = f"New password for {before.name}: "
            wanted["password"] = await new_password_given(context, prompt)
        body = UserChanges.model_validate({name: value for name, value in wanted.items() if value is not None})
        user = await context.api.patch(ONE, User, at={"id": before.id}, body=body)
        result = changed(UpdatedUser, before, user)
        if given.password:
            result.changed.append("password")
        return Outcome(result, message=told("user", user.name, result))


class UserReference(NameReference):
    """Which user."""


class DeleteUser(CommandHandler[UserReference, Deleted]):
    """Delete a user with all that signs them in."""

    path = ("settings", "user", "delete")
    arguments = UserReference
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (Example(line="nexus settings user delete --name anna --yes", shows="Be rid of one", needs=WITH_ANNA),)

    async def execute(self, context: ExecutionContext[UserReference]) -> Deleted:
        return await context.api.delete(ONE, Deleted, at={"id": context.args.text})


class UserRoleArguments(UserReference):
    role: AccountName = Field(description="The role's name.")


class GrantRole(CommandHandler[UserRoleArguments, GrantedUser]):
    """Give a user a role."""

    path = ("settings", "user", "grant")
    arguments = UserRoleArguments
    result = GrantedUser
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*WRITING, NotFound)
    examples = (
        Example(line="nexus settings user grant --name anna --role viewer", shows="Let a user look", needs=WITH_ANNA),
    )

    async def execute(self, context: ExecutionContext[UserRoleArguments]) -> Outcome[GrantedUser]:
        given = context.args
        body = RoleGrant(role=given.role)
        user = await context.api.post(f"{ONE}/roles", GrantedUser, at={"id": given.text}, body=body)
        change: Change = "unchanged" if user.changed == [] else "updated"
        return Outcome(user, message=f"{user.name} is {', '.join(user.roles)}.", change=change)


class RevokeRole(CommandHandler[UserRoleArguments, User]):
    """Take a role from a user."""

    path = ("settings", "user", "revoke")
    arguments = UserRoleArguments
    result = User
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="nexus settings user revoke --name anna --role viewer",
            shows="Let a user look no more",
            needs=("nexus settings user create --name anna --without-password --role viewer",),
        ),
    )

    async def execute(self, context: ExecutionContext[UserRoleArguments]) -> User:
        given = context.args
        place = f"{ONE}/roles/{quote(given.role, safe='')}"
        return await context.api.delete(place, User, at={"id": given.text})
