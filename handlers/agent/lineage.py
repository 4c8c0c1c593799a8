"""What a selection stands in: a roadmap's project, a chat's roadmap, selected with it where they are not already."""

from typing import Any

from nexus.schemas.chat import Chat
from nexus.schemas.command import ExecutionContext
from nexus.schemas.context import ContextUpdate, Selection
from nexus.schemas.project import Project
from nexus.schemas.roadmap import Roadmap


async def selecting_roadmap(context: ExecutionContext[Any], roadmap: Roadmap) -> ContextUpdate:
    """Select a roadmap; with it its project, where a flag or the environment named another than is selected."""
    own = Selection(id=roadmap.id, name=roadmap.title)
    project = context.contexts.load().project
    if project is not None and project.id == roadmap.project_id:
        return ContextUpdate(select={"roadmap": own})
    return ContextUpdate(select={"project": await _project(context, roadmap.project_id), "roadmap": own})


async def selecting_chat(context: ExecutionContext[Any], chat: Chat) -> ContextUpdate:
    """Select a chat; with it its roadmap and project, where a flag or the environment named others."""
    own = Selection(id=chat.id, name=chat.title)
    selected = context.contexts.load().roadmap
    if selected is not None and selected.id == chat.roadmap_id:
        return ContextUpdate(select={"chat": own})
    roadmap = await context.api.get("/api/roadmaps/{id}", Roadmap, at={"id": chat.roadmap_id})
    above = await selecting_roadmap(context, roadmap)
    return ContextUpdate(select={**above.select, "chat": own})


async def _project(context: ExecutionContext[Any], project_id: str) -> Selection:
    project = await context.api.get("/api/projects/{id}", Project, at={"id": project_id})
    return Selection(id=project.id, name=project.name)
