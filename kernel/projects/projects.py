"""Projects: list, create, view, change, delete."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.caller import require_shell
from nexus.kernel.events import ProjectDeleted
from nexus.kernel.git.address import Address, parse_address
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.projects.content import ContentFolders, clone_target, remove, users_folder
from nexus.kernel.store.lookup import changed_values, count, find, not_found, refuse_taken, values_of
from nexus.kernel.store.paging import Listing, matching
from nexus.kernel.store.prepared import Prepared
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.kernel.store.schema import chats, messages, pipelines, projects, roadmaps, runs
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.project import NewProject, Project, ProjectChanges, ProjectDetails, ProjectQuery

DETAILS = Prepared(
    select(
        projects,
        select(func.count()).where(roadmaps.c.project_id == projects.c.id).scalar_subquery().label("roadmap_count"),
        select(func.count())
        .select_from(roadmaps.join(chats))
        .where(roadmaps.c.project_id == projects.c.id)
        .scalar_subquery()
        .label("chat_count"),
    ).where(projects.c.id == bindparam("id"))
)
"""Made once: to make a statement costs several times what it takes to run it."""

NEVER_NULL = ("name", "status", "theme", "content_path", "hidden")


class Projects(Part):
    """The projects of this data folder."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.store = surroundings.store
        self.bus = surroundings.bus
        self._sweeping: asyncio.Task[None] | None = None
        self.folders = ContentFolders(surroundings.projects, surroundings.environment)
        self.listing = Listing(
            sorts={
                "id": projects.c.id,
                "name": projects.c.name_key,
                "category": func.coalesce(projects.c.category, ""),
                "description": func.coalesce(projects.c.description, ""),
                "status": projects.c.status,
                "contentPath": func.coalesce(projects.c.content_path, f"{self.folders.root}/" + projects.c.id),
                "gitUrl": func.coalesce(projects.c.git_url, ""),
                "hidden": projects.c.hidden,
                "createdAt": projects.c.created_at,
                "updatedAt": projects.c.updated_at,
            },
            order="name",
            id=projects.c.id,
            item=self._project,
        )

    def operations(self) -> Sequence[Operation]:
        many, one, command = "/api/projects", "/api/projects/{id}", "agent.project"
        return (
            Operation("GET", many, f"{command}.list", "List projects.", self.list, Page[Project], query=ProjectQuery),
            Operation(
                *("POST", many, f"{command}.create", "Create a project."),
                *(self.create, Project),
                body=NewProject,
                status=201,
                lasts=True,
            ),
            Operation("GET", one, f"{command}.view", "View a project.", self.view, Project),
            Operation(
                *("GET", f"{one}/details", f"{command}.view.details", "View a project and count what it has."),
                *(self.details, ProjectDetails),
            ),
            Operation(
                *("PATCH", one, f"{command}.update", "Change a project."),
                *(self.change, Project),
                body=ProjectChanges,
            ),
            Operation(
                *("PUT", one, f"{command}.update.put", "Change a project, as PATCH does."),
                *(self.change, Project),
                body=ProjectChanges,
            ),
            Operation("DELETE", one, f"{command}.delete", "Delete a project and its own.", self.delete, Deleted),
        )

    async def start(self) -> None:
        leftovers = self.folders.prepare_root()
        if leftovers:
            # A clone may have a hundred thousand files: the first command does not wait for them.
            self._sweeping = asyncio.create_task(asyncio.to_thread(remove, leftovers))

    async def close(self) -> None:
        if self._sweeping is not None:
            await self._sweeping

    async def list(self, request: ApiRequest[ProjectQuery, None]) -> Page[Project]:
        """Return a page of projects; a name finds a hidden one too."""
        query = request.query
        columns = (projects.c.name, projects.c.category, projects.c.description)
        if query.name is not None:
            asked: dict[str, Any] = {"name_key": name_key(query.name)}
        else:
            asked = {"hidden": None if query.include_hidden else False}
        wanted, given = matching(projects, asked, query.filter, columns)
        return await self.store.read(lambda connection: self.listing.page(connection, wanted, query, given))

    async def create(self, request: ApiRequest[None, NewProject]) -> Project:
        """Create a project with its folder: both are there, or neither is."""
        new = request.body
        address = parse_address(new.git_url) if new.git_url else None
        if new.content_path is not None:
            require_shell(request.caller, "a folder")
        if address is not None and address.is_the_machines:
            require_shell(request.caller, "a repository")
        await self.store.read(lambda connection: refuse_taken(connection, projects, new.name))
        project_id = new_id("prj")
        content_path = await _content_path(new, address)
        final = Path(content_path) if content_path is not None else self.folders.made(project_id)
        cloned = await self.folders.incoming(project_id, address, final) if address else None
        moment = now()
        values = {
            **new.model_dump(include={"name", "category", "description", "hidden"}, by_alias=False),
            "id": project_id,
            "name_key": name_key(new.name),
            "status": "active",
            "theme": {},
            "content_path": content_path,
            "made_folder": content_path is None,
            "git_url": address.url if address else None,
            "created_at": moment,
            "updated_at": moment,
        }
        # Begun, it ends: a caller that leaves must not leave half a project behind.
        return await asyncio.shield(self._settle(request, values, cloned, final))

    async def _settle(
        self, request: ApiRequest[None, NewProject], values: dict[str, Any], cloned: Path | None, final: Path
    ) -> Project:
        appeared: list[Path] = [cloned] if cloned is not None else []

        def work(connection: Connection) -> Project:
            refuse_taken(connection, projects, values["name"])
            connection.execute(insert(projects).values(values))
            if cloned is not None:
                cloned.rename(final)
                appeared.append(final)
            elif values["made_folder"]:
                final.mkdir(mode=0o700)
                appeared.append(final)
            return self._one(connection, values["id"])

        try:
            return await request.write(work)
        except Exception:
            await asyncio.to_thread(remove, appeared)
            raise

    async def view(self, request: ApiRequest[None, None]) -> Project:
        """Return one project."""
        return await self.store.read(lambda connection: self._one(connection, request.path["id"]))

    async def details(self, request: ApiRequest[None, None]) -> ProjectDetails:
        """Return one project with what belongs to it, counted."""

        def work(connection: Connection) -> ProjectDetails:
            rows = DETAILS.rows(connection, {"id": request.path["id"]})
            if not rows:
                raise not_found(projects, request.path["id"])
            return ProjectDetails.model_validate(self._values(rows[0]))

        return await self.store.read(work)

    async def change(self, request: ApiRequest[None, ProjectChanges]) -> Project:
        """Change the fields that are given; a null clears one that may be empty."""
        project_id = request.path["id"]
        values = changed_values(request.body, NEVER_NULL)
        if "content_path" in values:
            require_shell(request.caller, "a folder")
            values["content_path"] = await asyncio.to_thread(users_folder, values["content_path"])
        if values.get("git_url") is not None:
            values["git_url"] = parse_address(values["git_url"]).url
        if "name" in values:
            values["name_key"] = name_key(values["name"])

        def work(connection: Connection) -> Project:
            if "name" in values:
                refuse_taken(connection, projects, values["name"], but=project_id)
            if values:
                change = update(projects).where(projects.c.id == project_id)
                connection.execute(change.values(**values, updated_at=now()))
            return self._one(connection, project_id)

        return await request.write(work)

    async def delete(self, request: ApiRequest[None, None]) -> Deleted:
        """Delete a project with all that belongs to it; of folders only the one that the kernel made."""
        project_id = request.path["id"]
        made = False
        gone: tuple[str, ...] = ()

        def work(connection: Connection) -> Deleted:
            nonlocal made, gone
            made = bool(find(connection, projects, project_id).made_folder)
            cascade = belongings(connection, project_id)
            of_project = select(runs.c.id).join(pipelines).where(pipelines.c.project_id == project_id)
            gone = tuple(connection.execute(of_project).scalars())
            connection.execute(delete(projects).where(projects.c.id == project_id))
            return Deleted(id=project_id, cascade=cascade)

        deleted = await request.write(work)
        await self.bus.publish(ProjectDeleted(project_id, gone))
        if made:
            await self.folders.remove_made(project_id)
        return deleted

    def _one(self, connection: Connection, project_id: str) -> Project:
        return self._project(find(connection, projects, project_id))

    def _project(self, row: Row[Any]) -> Project:
        return Project.model_validate(self._values(row))

    def _values(self, row: Row[Any]) -> dict[str, Any]:
        return {**values_of(row), "content_path": self.folders.path_of(row)}


async def _content_path(new: NewProject, address: Address | None) -> str | None:
    if new.content_path is None:
        return None
    return await asyncio.to_thread(clone_target if address else users_folder, new.content_path)


def belongings(connection: Connection, project_id: str) -> dict[str, int]:
    """Count what belongs to a project, by kind."""
    of_project = roadmaps.c.project_id == project_id
    with_chats = roadmaps.join(chats)
    return {
        "roadmaps": count(connection, roadmaps, of_project),
        "chats": count(connection, with_chats, of_project),
        "messages": count(connection, with_chats.join(messages), of_project),
        "pipelines": count(connection, pipelines, pipelines.c.project_id == project_id),
        "runs": count(connection, pipelines.join(runs), pipelines.c.project_id == project_id),
    }
