"""Pipelines as they are written: documents of steps, with what each runs and needs."""

import shlex
from typing import Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import Changed, told
from nexus.handlers.collections import PROJECTS
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.pipeline.document import MOST_BYTES, Source, given_document, read_document
from nexus.handlers.references import Collection
from nexus.handlers.texts import file_given
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import Conflict, NexusError, NotFound, ValidationError
from nexus.schemas.kernel import Deleted
from nexus.schemas.model import MOST_WHOLE
from nexus.schemas.page import Page
from nexus.schemas.pipeline import Pipeline, PipelineChange, PipelineChecked, PipelineDetails, PipelineDocument

PIPELINES_AT = "/api/pipelines"
PIPELINE = f"{PIPELINES_AT}/{{id}}"
PIPELINES = Collection(
    "definition", PIPELINES_AT, PIPELINE, Page[Pipeline], Pipeline, namespace="pipeline", noun="pipeline"
)

HELLO = "name: hello\nsteps:\n  greet:\n    run: [echo, hello]\n"
MADE = (f"printf {shlex.quote(HELLO.encode('unicode_escape').decode())} > hello.yaml",)
CREATE_HELLO = "nexus pipeline definition create --from hello.yaml"
WITH_HELLO = (*MADE, CREATE_HELLO)
"""What the examples stand on."""


class PipelineReference(Arguments):
    pipeline: str = Field(
        min_length=1,
        max_length=200,
        description="Its id, or its exact name.",
        json_schema_extra={"positional": True},
    )


class DocumentArguments(Arguments):
    from_: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="The file with the document, YAML or JSON, relative to where you are; - reads standard input.",
        json_schema_extra={"metavar": "PATH", "stdin": True},
    )
    document: dict[str, Any] | None = Field(default=None, description="The document itself, in the place of --from.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.from_ is None) == (self.document is None):
            raise PydanticCustomError("one_document", "Give exactly one of --from and --document.")
        return self


class ListPipelines(CommandHandler[ListArguments, Page[Pipeline]]):
    """List the pipelines, by name; with --project only those of that project."""

    path = ("pipeline", "definition", "list")
    arguments = ListArguments
    result = Page[Pipeline]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (
        Example(line="nexus pipeline definition list", shows="Every pipeline"),
        Example(line="nexus pipeline definition list --sort -updatedAt --limit 5", shows="The newest five"),
    )

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Pipeline]:
        named = context.flags.project
        more = {} if named is None else {"projectId": (await PROJECTS.by_id_or_name(context.api, named)).id}
        return await context.api.get(PIPELINES_AT, Page[Pipeline], query=query_of(context.args, **more))


class ViewPipeline(CommandHandler[PipelineReference, PipelineDetails]):
    """Show a pipeline with its document, and an order in which its steps may run.

    What `--output yaml` prints is taken by `create --from` and `update --from` as it is.
    """

    path = ("pipeline", "definition", "view")
    arguments = PipelineReference
    result = PipelineDetails
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (
        Example(
            line="nexus pipeline definition view hello --output json", shows="One, with its document", needs=WITH_HELLO
        ),
    )

    async def execute(self, context: ExecutionContext[PipelineReference]) -> PipelineDetails:
        return await details_of(context, context.args.pipeline)


class ValidatePipeline(CommandHandler[DocumentArguments, PipelineChecked]):
    """Check a document and change nothing: what is wrong is told with its line, its column and what is wanted there.

    Of one that is right, `waves` has the steps that may run at once.
    """

    path = ("pipeline", "definition", "validate")
    arguments = DocumentArguments
    result = PipelineChecked
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound)
    examples = (
        Example(line="nexus pipeline definition validate --from hello.yaml", shows="What would run when", needs=MADE),
    )

    async def execute(self, context: ExecutionContext[DocumentArguments]) -> Outcome[PipelineChecked]:
        document, source = await document_given(context)
        try:
            checked = await context.api.post(f"{PIPELINES_AT}/validate", PipelineChecked, body=document)
        except NexusError as error:
            raise source.told(error) from error
        return Outcome(checked, message=f"Nothing is wrong with {checked.name!r}.")


class CreatePipeline(CommandHandler[DocumentArguments, PipelineDetails]):
    """Create a pipeline from a document. No two have the same name."""

    path = ("pipeline", "definition", "create")
    arguments = DocumentArguments
    result = PipelineDetails
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(line=CREATE_HELLO, shows="A pipeline of one step", needs=MADE),
        Example(
            line="nexus pipeline definition create"
            """ --document '{"name": "hi", "steps": {"greet": {"run": ["echo", "hi"]}}}'""",
            shows="From what is written here",
        ),
    )

    async def execute(self, context: ExecutionContext[DocumentArguments]) -> Outcome[PipelineDetails]:
        document, source = await document_given(context)
        try:
            made = await context.api.post(PIPELINES_AT, PipelineDetails, body=document)
        except NexusError as error:
            raise source.told(error) from error
        return Outcome(made, message=f"Created the pipeline {made.name!r}: nexus pipeline run start {made.id}")


class UpdatePipelineArguments(DocumentArguments, PipelineReference):
    revision: int | None = Field(
        default=None, ge=1, le=MOST_WHOLE, description="Only where the pipeline is at this revision still."
    )


class PipelineUpdated(PipelineDetails, Changed):
    """A pipeline after an update."""


class UpdatePipeline(CommandHandler[UpdatePipelineArguments, PipelineUpdated]):
    """Put another document in the place of a pipeline's. Runs that began keep the one that they began with.

    `changed` names the fields that are different now; `revision` counts up when there are any.
    """

    path = ("pipeline", "definition", "update")
    arguments = UpdatePipelineArguments
    result = PipelineUpdated
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (
        Example(
            line="nexus pipeline definition update hello --from hello.yaml",
            shows="What is different now",
            needs=(*WITH_HELLO, "echo 'description: Says it' >> hello.yaml"),
        ),
    )

    async def execute(self, context: ExecutionContext[UpdatePipelineArguments]) -> Outcome[PipelineUpdated]:
        document, source = await document_given(context)
        before = await details_of(context, context.args.pipeline)
        body = PipelineChange(document=document, revision=context.args.revision)
        try:
            after = await context.api.put(PIPELINE, PipelineDetails, at={"id": before.id}, body=body)
        except NexusError as error:
            raise source.told(error) from error
        result = PipelineUpdated.model_validate({**dict(after), "changed": _changed(before, after)})
        return Outcome(result, message=told("pipeline", after.name, result))


class DeletePipeline(CommandHandler[PipelineReference, Deleted]):
    """Delete a pipeline with the runs that it had. One with a run under way is refused."""

    path = ("pipeline", "definition", "delete")
    arguments = PipelineReference
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITING, NotFound, Conflict)
    examples = (Example(line="nexus pipeline definition delete hello --yes", shows="What went", needs=WITH_HELLO),)

    async def execute(self, context: ExecutionContext[PipelineReference]) -> Outcome[Deleted]:
        pipeline = await PIPELINES.by_id_or_name(context.api, context.args.pipeline)
        deleted = await context.api.delete(PIPELINE, Deleted, at={"id": pipeline.id})
        return Outcome(deleted, message=f"Deleted the pipeline {pipeline.name!r}.")


async def document_given(context: ExecutionContext[Any]) -> tuple[PipelineDocument, Source]:
    """Return the document that the arguments name or hold. Raises `ValidationError` with every fault's place."""
    args: DocumentArguments = context.args
    if args.document is not None:
        return given_document(args.document, "--document")
    if args.from_ is None:
        raise ValidationError.because("--from is missing.", field="from")
    content, name = await file_given(context, args.from_, field="from", limit=MOST_BYTES)
    return read_document(content, name)


async def details_of(context: ExecutionContext[Any], reference: str) -> PipelineDetails:
    """Return the pipeline that an id or a name means, with its document. Raises `NotFound` with the nearest names."""
    pipeline = await PIPELINES.by_id_or_name(context.api, reference)
    return await context.api.get(PIPELINE, PipelineDetails, at={"id": pipeline.id})


def _changed(before: PipelineDetails, after: PipelineDetails) -> list[str]:
    """Return the fields of the document that differ."""
    fields = PipelineDocument.model_fields.items()
    return [
        field.alias or name for name, field in fields if getattr(before.document, name) != getattr(after.document, name)
    ]
