"""Data sets: files that work begins with, pushed once and pulled wherever they are wanted."""

from pydantic import Field

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import ChangeArguments, Changed, changed, told
from nexus.handlers.data.items import (
    DATASETS,
    DATASETS_AT,
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
from nexus.schemas.command import Change, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.data import Dataset, Description, NewDataset, StoredChanges, Verification
from nexus.schemas.errors import Conflict, NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.project import Name
from nexus.schemas.stream import OutputStream

PUSH_NUMBERS = "nexus data dataset push numbers.csv --name numbers"
WITH_NUMBERS = (*MADE, PUSH_NUMBERS)


class ListDatasets(CommandHandler[ListArguments, Page[Dataset]]):
    """List the data sets, by name."""

    path = ("data", "dataset", "list")
    arguments = ListArguments
    result = Page[Dataset]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus data dataset list", shows="Every data set"),
        Example(line="nexus data dataset list --sort -size --limit 5 --fields name,size", shows="The largest"),
    )

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Dataset]:
        return await context.api.get(DATASETS_AT, Page[Dataset], query=query_of(context.args))


class ViewDataset(CommandHandler[ItemReference, Dataset]):
    """Show a data set: its size, its SHA-256, when it was pushed."""

    path = ("data", "dataset", "view")
    arguments = ItemReference
    result = Dataset
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (Example(line="nexus data dataset view numbers", shows="One data set", needs=WITH_NUMBERS),)

    async def execute(self, context: ExecutionContext[ItemReference]) -> Dataset:
        return await found(context, DATASETS, context.args.item)


class PushDatasetArguments(PushArguments):
    replace: bool = Field(default=False, description="Put it in the place of the data set that has this name.")


class PushDataset(CommandHandler[PushDatasetArguments, OutputStream | Dataset]):
    """Push a file as a data set. It is there when it is whole and checked, and not before.

    A push that was cut goes on where it was when the same command is given again within a week. The same bytes are kept
    once, whatever they are called. With --follow, events tell how far it is.
    """

    path = ("data", "dataset", "push")
    arguments = PushDatasetArguments
    result = Dataset
    effects = frozenset({Effect.WRITE, Effect.STREAMING})
    change = "created"
    lasts = True
    errors = PUSH_ERRORS
    events = TRANSFER_EVENTS
    examples = (
        Example(line=PUSH_NUMBERS, shows="The data set", needs=MADE),
        Example(line="nexus data dataset push numbers.csv --follow", shows="How far it is, as events", needs=MADE),
        Example(
            line="nexus data dataset push numbers.csv --name numbers --replace",
            shows="New bytes for a data set that is there",
            needs=WITH_NUMBERS,
        ),
    )

    async def execute(self, context: ExecutionContext[PushDatasetArguments]) -> Outcome[OutputStream | Dataset]:
        transfer = pushed(context, DATASETS_AT, Dataset, NewDataset, replace=context.args.replace)
        done = await moved(context, transfer)
        if not isinstance(done, Dataset):
            return Outcome(done)
        change: Change = "created" if done.created_at == done.updated_at else "updated"
        return Outcome(done, message=f"Pushed {done.name!r}.", change=change)


class PullDataset(CommandHandler[PullArguments, OutputStream | Pulled]):
    """Pull a data set into a file, which appears under its name when it is whole and its SHA-256 is right.

    A pull that was cut goes on where it was when the same command is given again.
    """

    path = ("data", "dataset", "pull")
    arguments = PullArguments
    result = Pulled
    effects = frozenset({Effect.WRITE, Effect.STREAMING, Effect.IDEMPOTENT})
    change = "created"
    lasts = True
    errors = PULL_ERRORS
    events = TRANSFER_EVENTS
    examples = (
        Example(line="nexus data dataset pull numbers copy.csv", shows="Where it is now", needs=WITH_NUMBERS),
        Example(
            line="nexus data dataset pull numbers --overwrite --follow",
            shows="How far it is, as events",
            needs=WITH_NUMBERS,
        ),
    )

    async def execute(self, context: ExecutionContext[PullArguments]) -> Outcome[OutputStream | Pulled]:
        transfer = pulled(context, DATASETS_AT, DATASETS)
        done = await moved(context, transfer)
        message = f"{done.path} is whole and checked." if isinstance(done, Pulled) else None
        return Outcome(done, message=message, change=transfer.change)


class UpdateDatasetArguments(ChangeArguments):
    clearable = frozenset({"description"})

    name: Name | None = Field(default=None, description="Another name.", json_schema_extra={"short": "n"})
    description: Description | None = Field(default=None, description="What it is; empty takes it away.")


class DatasetUpdated(Dataset, Changed):
    """A data set after an update."""


class UpdateDataset(CommandHandler[UpdateDatasetArguments, DatasetUpdated]):
    """Change a data set's name or description; its bytes are changed by `push --replace`."""

    path = ("data", "dataset", "update")
    arguments = UpdateDatasetArguments
    result = DatasetUpdated
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="nexus data dataset update --id numbers --description 'One and two'",
            shows="What it is now",
            needs=WITH_NUMBERS,
        ),
    )

    async def execute(self, context: ExecutionContext[UpdateDatasetArguments]) -> Outcome[DatasetUpdated]:
        before = await found(context, DATASETS, context.args.id)
        body = context.args.body(StoredChanges)
        after = await context.api.patch(DATASETS.found_at, Dataset, at={"id": before.id}, body=body)
        result = changed(DatasetUpdated, before, after)
        return Outcome(result, message=told("data set", after.name, result))


class VerifyDataset(CommandHandler[VerifyArguments, Verification]):
    """Read a data set's bytes again where they are kept, and compare their SHA-256; with a file, compare that.

    Ends with CHECKSUM_MISMATCH when they are not what was pushed.
    """

    path = ("data", "dataset", "verify")
    arguments = VerifyArguments
    result = Verification
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    lasts = True
    errors = VERIFY_ERRORS
    examples = (Example(line="nexus data dataset verify numbers", shows="That they are whole", needs=WITH_NUMBERS),)

    async def execute(self, context: ExecutionContext[VerifyArguments]) -> Verification:
        item = await found(context, DATASETS, context.args.item)
        return await verified(context, DATASETS_AT, item)


class DeleteDataset(CommandHandler[ItemReference, Deleted]):
    """Delete a data set, and its bytes unless another data set or artifact has the same."""

    path = ("data", "dataset", "delete")
    arguments = ItemReference
    result = Deleted
    effects = frozenset({Effect.DESTRUCTIVE})
    errors = (*WRITING, NotFound)
    examples = (Example(line="nexus data dataset delete numbers --yes", shows="What went", needs=WITH_NUMBERS),)

    async def execute(self, context: ExecutionContext[ItemReference]) -> Deleted:
        item = await found(context, DATASETS, context.args.item)
        return await context.api.delete(DATASETS.found_at, Deleted, at={"id": item.id})
