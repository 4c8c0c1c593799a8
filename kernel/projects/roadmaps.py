"""Roadmaps of a project: list, create, view, how they stand, change, delete."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Text, cast, delete, insert, update

from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.events import RoadmapActivity
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.store.lookup import changed_values, count, find, values_of
from nexus.kernel.store.paging import Listing, matching
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.kernel.store.schema import chats, messages, projects, roadmaps
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.roadmap import NewRoadmap, Roadmap, RoadmapChanges, RoadmapQuery, RoadmapSummary

NEVER_NULL = ("title", "tags", "status", "progress")


def _roadmap(row: Row[Any]) -> Roadmap:
    return Roadmap.model_validate(values_of(row))


LISTING = Listing(
    sorts={
        "id": roadmaps.c.id,
        "projectId": roadmaps.c.project_id,
        "title": roadmaps.c.title_key,
        "status": roadmaps.c.status,
        "progress": roadmaps.c.progress,
        "createdAt": roadmaps.c.created_at,
        "updatedAt": roadmaps.c.updated_at,
    },
    order="createdAt",
    id=roadmaps.c.id,
    item=_roadmap,
)


class Roadmaps(Part):
    """The roadmaps of all projects."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.store = surroundings.store
        self.bus = surroundings.bus

    def operations(self) -> Sequence[Operation]:
        many, one, command = "/api/projects/{id}/roadmaps", "/api/roadmaps/{id}", "agent.roadmap"
        return (
            Operation(
                *("GET", many, f"{command}.list", "List a project's roadmaps."),
                *(self.list, Page[Roadmap]),
                query=RoadmapQuery,
            ),
            Operation(
                *("POST", many, f"{command}.create", "Create a roadmap."),
                *(self.create, Roadmap),
                body=NewRoadmap,
                status=201,
            ),
            Operation("GET", one, f"{command}.view", "View a roadmap.", self.view, Roadmap),
            Operation(
                *("GET", f"{one}/status", f"{command}.view.status", "Show how a roadmap stands."),
                *(self.status, RoadmapSummary),
            ),
            Operation(
                *("PATCH", one, f"{command}.update", "Change a roadmap."),
                *(self.change, Roadmap),
                body=RoadmapChanges,
            ),
            Operation("DELETE", one, f"{command}.delete", "Delete a roadmap and its chats.", self.delete, Deleted),
        )

    async def list(self, request: ApiRequest[RoadmapQuery, None]) -> Page[Roadmap]:
        """Return a page of a project's roadmaps, the oldest first. Raises `NotFound` for the project."""
        project_id, query = request.path["id"], request.query
        asked = {"project_id": project_id, "title": query.title}
        wanted, given = matching(roadmaps, asked, query.filter, (roadmaps.c.title, cast(roadmaps.c.tags, Text)))

        def work(connection: Connection) -> Page[Roadmap]:
            find(connection, projects, project_id)
            return LISTING.page(connection, wanted, query, given)

        return await self.store.read(work)

    async def create(self, request: ApiRequest[None, NewRoadmap]) -> Roadmap:
        """Create a roadmap of a project."""
        project_id, new = request.path["id"], request.body
        moment = now()
        values = {
            "id": new_id("rmp"),
            "project_id": project_id,
            "title": new.title,
            "title_key": name_key(new.title),
            "tags": new.tags,
            "status": "planned",
            "progress": 0,
            "created_at": moment,
            "updated_at": moment,
        }

        def work(connection: Connection) -> Roadmap:
            find(connection, projects, project_id)
            connection.execute(insert(roadmaps).values(values))
            return Roadmap.model_validate(values)

        return await request.write(work)

    async def view(self, request: ApiRequest[None, None]) -> Roadmap:
        """Return one roadmap."""
        return await self.store.read(lambda connection: _roadmap(find(connection, roadmaps, request.path["id"])))

    async def status(self, request: ApiRequest[None, None]) -> RoadmapSummary:
        """Return how one roadmap stands."""

        def work(connection: Connection) -> RoadmapSummary:
            row = find(connection, roadmaps, request.path["id"])
            of_roadmap = chats.c.roadmap_id == row.id
            return RoadmapSummary(
                **values_of(row),
                chat_count=count(connection, chats, of_roadmap),
                message_count=count(connection, chats.join(messages), of_roadmap),
            )

        return await self.store.read(work)

    async def change(self, request: ApiRequest[None, RoadmapChanges]) -> Roadmap:
        """Change the fields that are given."""
        roadmap_id = request.path["id"]
        values = changed_values(request.body, NEVER_NULL)
        if "title" in values:
            values["title_key"] = name_key(values["title"])

        def work(connection: Connection) -> Roadmap:
            if values:
                change = update(roadmaps).where(roadmaps.c.id == roadmap_id)
                connection.execute(change.values(**values, updated_at=now()))
            return _roadmap(find(connection, roadmaps, roadmap_id))

        changed = await request.write(work)
        await self.bus.publish(RoadmapActivity(roadmap_id, "roadmap-updated", changed))
        return changed

    async def delete(self, request: ApiRequest[None, None]) -> Deleted:
        """Delete a roadmap with its chats and their messages."""
        roadmap_id = request.path["id"]

        def work(connection: Connection) -> Deleted:
            find(connection, roadmaps, roadmap_id)
            of_roadmap = chats.c.roadmap_id == roadmap_id
            cascade = {
                "chats": count(connection, chats, of_roadmap),
                "messages": count(connection, chats.join(messages), of_roadmap),
            }
            connection.execute(delete(roadmaps).where(roadmaps.c.id == roadmap_id))
            return Deleted(id=roadmap_id, cascade=cascade)

        deleted = await request.write(work)
        await self.bus.publish(RoadmapActivity(roadmap_id, "roadmap-deleted", deleted))
        return deleted
