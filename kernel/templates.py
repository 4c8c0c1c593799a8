"""Templates: texts to start from; list, create, view, change, delete."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, update

from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.store.lookup import changed_values, find, refuse_taken, values_of
from nexus.kernel.store.paging import Listing, matching
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.kernel.store.schema import templates
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.template import NewTemplate, Template, TemplateChanges, TemplateQuery

NEVER_NULL = ("name", "content", "favorite")


def _template(row: Row[Any]) -> Template:
    return Template.model_validate(values_of(row))


LISTING = Listing(
    sorts={
        "id": templates.c.id,
        "name": templates.c.name_key,
        "description": func.coalesce(templates.c.description, ""),
        "category": func.coalesce(templates.c.category, ""),
        "favorite": templates.c.favorite,
        "createdAt": templates.c.created_at,
        "updatedAt": templates.c.updated_at,
    },
    order="name",
    id=templates.c.id,
    item=_template,
)


class Templates(Part):
    """The templates of this data folder."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.store = surroundings.store

    def operations(self) -> Sequence[Operation]:
        many, one, command = "/api/templates", "/api/templates/{id}", "agent.template"
        return (
            Operation(
                *("GET", many, f"{command}.list", "List templates."),
                *(self.list, Page[Template]),
                query=TemplateQuery,
            ),
            Operation(
                *("POST", many, f"{command}.create", "Create a template."),
                *(self.create, Template),
                body=NewTemplate,
                status=201,
            ),
            Operation("GET", one, f"{command}.view", "View a template.", self.view, Template),
            Operation(
                *("PATCH", one, f"{command}.update", "Change a template, or mark it as a favorite."),
                *(self.change, Template),
                body=TemplateChanges,
            ),
            Operation("DELETE", one, f"{command}.delete", "Delete a template.", self.delete, Deleted),
        )

    async def list(self, request: ApiRequest[TemplateQuery, None]) -> Page[Template]:
        """Return a page of templates."""
        query = request.query
        key = None if query.name is None else name_key(query.name)
        asked = {"name_key": key, "category": query.category, "favorite": query.favorite}
        columns = (templates.c.name, templates.c.description, templates.c.category, templates.c.content)
        wanted, given = matching(templates, asked, query.filter, columns)
        return await self.store.read(lambda connection: LISTING.page(connection, wanted, query, given))

    async def create(self, request: ApiRequest[None, NewTemplate]) -> Template:
        """Create a template. Raises `Conflict` when its name is taken."""
        new = request.body
        moment = now()
        values = {
            **new.model_dump(by_alias=False),
            "id": new_id("tpl"),
            "name_key": name_key(new.name),
            "favorite": False,
            "created_at": moment,
            "updated_at": moment,
        }

        def work(connection: Connection) -> Template:
            refuse_taken(connection, templates, new.name)
            connection.execute(insert(templates).values(values))
            return Template.model_validate(values)

        return await request.write(work)

    async def view(self, request: ApiRequest[None, None]) -> Template:
        """Return one template."""
        return await self.store.read(lambda connection: _template(find(connection, templates, request.path["id"])))

    async def change(self, request: ApiRequest[None, TemplateChanges]) -> Template:
        """Change the fields that are given; a null clears one that may be empty."""
        template_id = request.path["id"]
        values = changed_values(request.body, NEVER_NULL)
        if "name" in values:
            values["name_key"] = name_key(values["name"])

        def work(connection: Connection) -> Template:
            if "name" in values:
                refuse_taken(connection, templates, values["name"], but=template_id)
            if values:
                change = update(templates).where(templates.c.id == template_id)
                connection.execute(change.values(**values, updated_at=now()))
            return _template(find(connection, templates, template_id))

        return await request.write(work)

    async def delete(self, request: ApiRequest[None, None]) -> Deleted:
        """Delete one template."""
        template_id = request.path["id"]

        def work(connection: Connection) -> Deleted:
            find(connection, templates, template_id)
            connection.execute(delete(templates).where(templates.c.id == template_id))
            return Deleted(id=template_id)

        return await request.write(work)
