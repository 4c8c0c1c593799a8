"""Profiles: servers by name, and what signs in to them."""

from typing import Annotated

from pydantic import Field, StringConstraints

from nexus.handlers.listing import ListArguments, page_of
from nexus.handlers.settings.auth import sign_ins
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import (
    BackendUnavailable,
    ConfigInvalid,
    Conflict,
    NotFound,
    StorageFull,
    StorageReadOnly,
    ValidationError,
)
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.profile import Profile

ServerUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=2048)]

WRITES = (ConfigInvalid, ValidationError, StorageReadOnly, StorageFull)
CREATE_TEAM = "nexus settings profile create --name team --to https://nexus.example.com"
WITH_TEAM = (CREATE_TEAM,)


class ListProfiles(CommandHandler[ListArguments, Page[Profile]]):
    """List the profiles, the local one among them."""

    path = ("settings", "profile", "list")
    arguments = ListArguments
    result = Page[Profile]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (ConfigInvalid, ValidationError)
    examples = (Example(line="nexus settings profile list", shows="Where commands may go"),)

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Profile]:
        return page_of(
            Page[Profile],
            sign_ins(context).list(),
            context.args,
            identity=lambda profile: profile.name,
            sortable={"name": lambda profile: profile.name, "server": lambda profile: profile.server or ""},
        )


class ProfileName(Arguments):
    name: str = Field(min_length=1, max_length=64, description="The profile's name.", json_schema_extra={"short": "n"})


class CreateProfileArguments(ProfileName):
    to: ServerUrl = Field(description="The URL of the profile's server.")


class CreateProfile(CommandHandler[CreateProfileArguments, Profile]):
    """Name a server; `settings auth login --profile NAME` signs in to it."""

    path = ("settings", "profile", "create")
    arguments = CreateProfileArguments
    result = Profile
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*WRITES, Conflict)
    examples = (Example(line=CREATE_TEAM, shows="A server by name"),)

    async def execute(self, context: ExecutionContext[CreateProfileArguments]) -> Outcome[Profile]:
        profile = await sign_ins(context).create(context.args.name, context.args.to)
        return Outcome(profile, message=f"Sign in to it: nexus settings auth login --profile {profile.name}")


class UseProfile(CommandHandler[ProfileName, Profile]):
    """Have commands go to a profile's server unless they name another; `local` is this machine's kernel."""

    path = ("settings", "profile", "use")
    arguments = ProfileName
    result = Profile
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*WRITES, NotFound)
    examples = (Example(line="nexus settings profile use --name team", shows="Go to the team's", needs=WITH_TEAM),)

    async def execute(self, context: ExecutionContext[ProfileName]) -> Outcome[Profile]:
        signing = sign_ins(context)
        before = next((each.name for each in signing.list() if each.current), None)
        profile = await signing.use(context.args.name)
        told = f"Commands go to {profile.server or 'the kernel of this machine'}."
        return Outcome(profile, message=told, change="unchanged" if before == profile.name else "updated")


class DeleteProfile(CommandHandler[ProfileName, Deleted]):
    """Forget a profile, and what signed in to its server from here."""

    path = ("settings", "profile", "delete")
    arguments = ProfileName
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITES, NotFound, BackendUnavailable)
    examples = (
        Example(line="nexus settings profile delete --name team --yes", shows="Forget a server", needs=WITH_TEAM),
    )

    async def execute(self, context: ExecutionContext[ProfileName]) -> Deleted:
        await sign_ins(context).delete(context.args.name)
        return Deleted(id=context.args.name)
