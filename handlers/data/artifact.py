"""Artifacts: files that work ended in, by the run that made them."""

from pydantic import Field

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import ChangeArguments, Changed, changed, told
from nexus.handlers.data.items import (
    ARTIFACTS,
    ARTIFACTS_AT,
    MADE,
    PULL_ERRORS,
    PUSH_ERRORS,
    TRANSFER_EVENTS,
    VERIFY_ERRORS,
    ItemReference,
    PullArguments,
    PushArguments,
    VerifyArguments,
    found,
    moved,
    pulled,
    pushed,
    verified,
)
from nexus.handlers.data.pull import Pulled
from nexus.handlers.listing import ListArguments, query_of
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.data import Artifact, Description, NewArtifact, RunId, StoredChanges, Verification
from nexus.schemas.errors import Conflict, NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.project import Name
from nexus.schemas.stream import OutputStream

PUSH_NUMBERS = "nexus data artifact push numbers.csv --name numbers --run-id build-7"
WITH_NUMBERS = (*MADE, PUSH_NUMBERS)


class ListArtifactsArguments(ListArguments):
    run_id: RunId | None = Field(default=None, description="Only those of this run.")


class ListArtifacts(CommandHandler[ListArtifactsArguments, Page[Artifact]]):
    """List the artifacts, the newest first."""

    path = ("data", "artifact", "list")
    arguments = ListArtifactsArguments
    result = Page[Artifact]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus data artifact list", shows="Every artifact"),
        Example(line="nexus data artifact list --run-id build-7 --fields id,name", shows="Those of one run"),
    )

    async def execute(self, context: ExecutionContext[ListArtifactsArguments]) -> Page[Artifact]:
        return await context.api.get(ARTIFACTS_AT, Page[Artifact], query=query_of(context.args))


class ViewArtifact(CommandHandler[ItemReference, Artifact]):
    """Show an artifact: its size, its SHA-256, when it was pushed."""

    path = ("data", "artifact", "view")
    arguments = ItemReference
    result = Artifact
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (Example(line="nexus data artifact view numbers", shows="One artifact", needs=WITH_NUMBERS),)

    async def execute(self, context: ExecutionContext[ItemReference]) -> Artifact:
        return await found(context, ARTIFACTS, context.args.item)


class PushArtifactArguments(PushArguments):
    run_id: RunId | None = Field(default=None, description="The run that made it.")


class PushArtifact(CommandHandler[PushArtifactArguments, OutputStream | Artifact]):
    """Push a file as an artifact. It is there when it is whole and checked, and not before.

    A push that was cut goes on where it was when the same command is given again within a week. The same bytes are kept
    once. A name may be another's too: the newest of that name is meant. With --follow, events tell how far it is.
    """

    path = ("data", "artifact", "push")
    arguments = PushArtifactArguments
    result = Artifact
    effects = frozenset({Effect.WRITE, Effect.STREAMING})
    change = "created"
    lasts = True
    errors = PUSH_ERRORS
    events = TRANSFER_EVENTS
    examples = (
        Example(line=PUSH_NUMBERS, shows="The artifact", needs=MADE),
        Example(line="nexus data artifact push numbers.csv --follow", shows="How far it is, as events", needs=MADE),
    )

    async def execute(self, context: ExecutionContext[PushArtifactArguments]) -> Outcome[OutputStream | Artifact]:
        transfer = pushed(context, ARTIFACTS_AT, Artifact, NewArtifact, run_id=context.args.run_id)
        done = await moved(context, transfer)
        return Outcome(done, message=f"Pushed {done.name!r}." if isinstance(done, Artifact) else None)


class DownloadArtifact(CommandHandler[PullArguments, OutputStream | Pulled]):
    """Download an artifact into a file, which appears under its name when it is whole and its SHA-256 is right.

    A download that was cut goes on where it was when the same command is given again.
    """

    path = ("data", "artifact", "download")
    arguments = PullArguments
    result = Pulled
    effects = frozenset({Effect.WRITE, Effect.STREAMING, Effect.IDEMPOTENT})
    change = "created"
    lasts = True
    errors = PULL_ERRORS
    events = TRANSFER_EVENTS
    examples = (
        Example(line="nexus data artifact download numbers copy.csv", shows="Where it is now", needs=WITH_NUMBERS),
        Example(
            line="nexus data artifact download numbers --overwrite --follow",
            shows="How far it is, as events",
            needs=WITH_NUMBERS,
        ),
    )

    async def execute(self, context: ExecutionContext[PullArguments]) -> Outcome[OutputStream | Pulled]:
        transfer = pulled(context, ARTIFACTS_AT, ARTIFACTS)
        done = await moved(context, transfer)
        message = f"{done.path} is whole and checked." if isinstance(done, Pulled) else None
        return Outcome(done, message=message, change=transfer.change)


class UpdateArtifactArguments(ChangeArguments):
    clearable = frozenset({"description"})

    name: Name | None = Field(default=None, description="Another name.", json_schema_extra={"short": "n"})
    description: Description | None = Field(default=None, description="What it is; empty takes it away.")


class ArtifactUpdated(Artifact, Changed):
    """An artifact after an update."""


class UpdateArtifact(CommandHandler[UpdateArtifactArguments, ArtifactUpdated]):
    """Change an artifact's name or description; its bytes never change."""

    path = ("data", "artifact", "update")
    arguments = UpdateArtifactArguments
    result = ArtifactUpdated
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="nexus data artifact update --id numbers --description 'One and two'",
            shows="What it is now",
            needs=WITH_NUMBERS,
        ),
    )

    async def execute(self, context: ExecutionContext[UpdateArtifactArguments]) -> Outcome[ArtifactUpdated]:
        before = await found(context, ARTIFACTS, context.args.id)
        body = context.args.body(StoredChanges)
        after = await context.api.patch(ARTIFACTS.found_at, Artifact, at={"id": before.id}, body=body)
        result = changed(ArtifactUpdated, before, after)
        return Outcome(result, message=told("artifact", after.name, result))


class VerifyArtifact(CommandHandler[VerifyArguments, Verification]):
    """Read an artifact's bytes again where they are kept, and compare their SHA-256; with a file, compare that.

    Ends with CHECKSUM_MISMATCH when they are not what was pushed.
    """

    path = ("data", "artifact", "verify")
    arguments = VerifyArguments
    result = Verification
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    lasts = True
    errors = VERIFY_ERRORS
    examples = (Example(line="nexus data artifact verify numbers", shows="That they are whole", needs=WITH_NUMBERS),)

    async def execute(self, context: ExecutionContext[VerifyArguments]) -> Verification:
        item = await found(context, ARTIFACTS, context.args.item)
        return await verified(context, ARTIFACTS_AT, item)


class DeleteArtifact(CommandHandler[ItemReference, Deleted]):
    """Delete an artifact, and its bytes unless another artifact or data set has the same."""

    path = ("data", "artifact", "delete")
    arguments = ItemReference
    result = Deleted
    effects = frozenset({Effect.DESTRUCTIVE})
    errors = (*WRITING, NotFound)
    examples = (Example(line="nexus data artifact delete numbers --yes", shows="What went", needs=WITH_NUMBERS),)

    async def execute(self, context: ExecutionContext[ItemReference]) -> Deleted:
        item = await found(context, ARTIFACTS, context.args.item)
        return await context.api.delete(ARTIFACTS.found_at, Deleted, at={"id": item.id})
