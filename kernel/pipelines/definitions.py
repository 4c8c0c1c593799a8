"""Pipelines as documents: listed, checked, kept, changed, deleted with their runs."""

from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.pipelines.coordinating import Forget
from nexus.kernel.pipelines.grants import READ_FILES, require_document
from nexus.kernel.pipelines.plan import Plan, secrets_of
from nexus.kernel.pipelines.rows import PIPELINES_HINT, UNDER_WAY, listed, pipeline, pipeline_details, pipeline_row
from nexus.kernel.settings import StepSettings
from nexus.kernel.store.paging import Listing, contains
from nexus.kernel.store.rows import compact_json, name_key, new_id, now
from nexus.kernel.store.schema import pipelines, projects, runs
from nexus.kernel.store.store import Store
from nexus.schemas.errors import Conflict, NotFound, ValidationError
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.pipeline import (
    Pipeline,
    PipelineChange,
    PipelineChecked,
    PipelineDetails,
    PipelineDocument,
    PipelineQuery,
)

MOST_BYTES = 1024 * 1024
"""What a document may take: every run keeps one."""

LISTING = Listing(
    sorts={
        "id": pipelines.c.id,
        "name": pipelines.c.name_key,
        "description": func.coalesce(pipelines.c.description, ""),
        "projectId": func.coalesce(pipelines.c.project_id, ""),
        "revision": pipelines.c.revision,
        "stepCount": pipelines.c.step_count,
        "createdAt": pipelines.c.created_at,
        "updatedAt": pipelines.c.updated_at,
    },
    order="name",
    id=pipelines.c.id,
    item=pipeline,
)


class Definitions:
    """The pipelines of this data folder. `forget` is told of runs that are gone."""

    def __init__(self, store: Store, steps: StepSettings, forget: Forget) -> None:
        self._store = store
        self._steps = steps
        self._forget = forget

    async def list(self, request: ApiRequest[PipelineQuery, None]) -> Page[Pipeline]:
        """Return a page of pipelines, their documents left out."""
        query = request.query
        wanted = _wanted(query)
        return await self._store.read(lambda connection: LISTING.page(connection, wanted, query))

    async def validate(self, request: ApiRequest[None, PipelineDocument]) -> PipelineChecked:
        """Say of a document that nothing is wrong in it. Raises `ValidationError`, `NotFound` for its project."""
        document = request.body
        plan, _ = _checked(document)
        # Who may not read its files is not told whether there is such a project.
        if request.caller.may(READ_FILES):
            await self._store.read(lambda connection: _project(connection, document))
        return PipelineChecked(
            name=document.name,
            step_count=len(document.steps),
            waves=plan.waves,
            secrets=secrets_of(document),
            datasets=list(document.datasets),
        )

    async def create(self, request: ApiRequest[None, PipelineDocument]) -> PipelineDetails:
        """Keep a document as a new pipeline.

        Raises `ValidationError`, `PermissionDenied`, `NotFound` for its project, `Conflict` for a name that is taken.
        """
        values = self._values(request, request.body)
        moment = now()
        made = {**values, "id": new_id("pip"), "revision": 1, "created_at": moment, "updated_at": moment}

        def work(connection: Connection) -> PipelineDetails:
            _refuse_taken(connection, request.body.name)
            made["project_id"] = _project(connection, request.body)
            connection.execute(insert(pipelines).values(made))
            return pipeline_details(pipeline_row(connection, made["id"]))

        return await request.write(work)

    async def view(self, request: ApiRequest[None, None]) -> PipelineDetails:
        """Return a pipeline with its document. Raises `NotFound`."""
        pipeline_id = request.path["id"]
        return pipeline_details(await self._store.read(lambda connection: pipeline_row(connection, pipeline_id)))

    async def update(self, request: ApiRequest[None, PipelineChange]) -> PipelineDetails:
        """Keep a newer document; runs that began with an older one go on with that. The same again changes nothing.

        Raises `NotFound`, `Conflict` when it is at another revision, and as `create`.
        """
        pipeline_id, change = request.path["id"], request.body
        values = self._values(request, change.document)

        def work(connection: Connection) -> PipelineDetails:
            row = pipeline_row(connection, pipeline_id)
            if change.revision not in (None, row.revision):
                raise Conflict.because(
                    f"The pipeline {row.name!r} is at revision {row.revision} by now, not at {change.revision}.",
                    field="revision",
                    revision=row.revision,
                    hint=f"nexus pipeline definition view {pipeline_id}",
                )
            _refuse_taken(connection, change.document.name, but=pipeline_id)
            project_id = _project(connection, change.document)
            if project_id == row.project_id and _is_same(row.document, values["document"]):
                return pipeline_details(row)
            fresh = {
                **values,
                "project_id": project_id,
                "revision": row.revision + 1,
                "updated_at": now(),
            }
            connection.execute(update(pipelines).where(pipelines.c.id == pipeline_id).values(fresh))
            return pipeline_details(pipeline_row(connection, pipeline_id))

        return await request.write(work)

    async def delete(self, request: ApiRequest[None, None]) -> Deleted:
        """Delete a pipeline with its runs. Raises `NotFound`, `Conflict` while one of them is under way."""
        pipeline_id = request.path["id"]
        gone: list[str] = []

        def work(connection: Connection) -> Deleted:
            row = pipeline_row(connection, pipeline_id)
            theirs = runs.c.pipeline_id == pipeline_id
            left = connection.execute(select(runs.c.id).where(theirs, runs.c.status.in_(UNDER_WAY)).limit(1)).first()
            if left is not None:
                raise Conflict.because(
                    f"The run {left.id} of the pipeline {row.name!r} is under way.",
                    run_id=left.id,
                    hint=f"nexus pipeline run cancel {left.id}",
                )
            gone[:] = connection.execute(select(runs.c.id).where(theirs)).scalars()
            connection.execute(delete(pipelines).where(pipelines.c.id == pipeline_id))
            return Deleted(id=pipeline_id, cascade={"runs": len(gone)})

        deleted = await request.write(work)
        await self._forget(gone)
        return deleted

    def _values(self, request: ApiRequest[Any, Any], document: PipelineDocument) -> dict[str, Any]:
        _, written = _checked(document)
        require_document(request.caller, document, self._steps)
        return {
            "name": document.name,
            "name_key": name_key(document.name),
            "description": document.description,
            "document": written,
            "step_count": len(document.steps),
        }


def _checked(document: PipelineDocument) -> tuple[Plan, dict[str, Any]]:
    """Return the plan of a document, and the document as it is kept. Raises `ValidationError`."""
    plan = Plan(document)
    # With what was left out: a later version may fill that in otherwise.
    written = document.model_dump(mode="json", by_alias=True)
    size = len(compact_json(written).encode())
    if size > MOST_BYTES:
        raise ValidationError.because(
            f"The document takes {size} bytes, and {MOST_BYTES} is the most.",
            field="steps",
            most=MOST_BYTES,
            hint="Put what is long into files: a data set, or the project's.",
        )
    return plan, written


def _is_same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Say whether two documents say the same, their steps in the same order."""
    return before == after and list(before["steps"]) == list(after["steps"])


def _wanted(query: PipelineQuery) -> Select[Any]:
    rows = listed(pipelines)
    if query.name is not None:
        rows = rows.where(pipelines.c.name_key == name_key(query.name))
    if query.project_id is not None:
        rows = rows.where(pipelines.c.project_id == query.project_id)
    if query.filter:
        rows = rows.where(contains((pipelines.c.name, pipelines.c.description, pipelines.c.id), query.filter))
    return rows


def _project(connection: Connection, document: PipelineDocument) -> str | None:
    """Return the id of the project that a document names: an id before a name. Raises `NotFound`."""
    if document.project is None:
        return None
    for condition in (projects.c.id == document.project, projects.c.name_key == name_key(document.project)):
        found = connection.execute(select(projects.c.id).where(condition)).scalar_one_or_none()
        if found is not None:
            return str(found)
    raise NotFound(resource="project", reference=document.project, field="project", hint="nexus agent project list")


def _refuse_taken(connection: Connection, name: str, *, but: str | None = None) -> None:
    named = select(pipelines.c.id, pipelines.c.name).where(pipelines.c.name_key == name_key(name))
    row = connection.execute(named).one_or_none()
    if row is not None and row.id != but:
        raise Conflict.because(
            f"There is already a pipeline {row.name!r}.", field="name", id=row.id, hint=PIPELINES_HINT
        )
