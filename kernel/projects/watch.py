"""Sessions of type `meta-chat`: a roadmap's activity as it happens, its chats and their messages."""

import logging
from typing import TYPE_CHECKING

from nexus.kernel.events import ProjectDeleted, RoadmapActivity
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.sessions.driver import Driver
from nexus.kernel.store.lookup import find
from nexus.kernel.store.schema import roadmaps
from nexus.kernel.store.store import Store
from nexus.schemas.errors import NexusError, NotFound
from nexus.sessions import lines

if TYPE_CHECKING:
    from nexus.kernel.sessions.output import SessionOutput

SESSION_TYPE = "meta-chat"
PIECE = 100_000
"""Characters of a message that an event tells; the chat has the whole."""

logger = logging.getLogger("nexus.kernel.projects")


class RoadmapWatch(Part):
    """Tells what the bus says of roadmaps to the sessions that watch them."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.store = surroundings.store
        self._watchers: dict[str, WatchDriver] = {}
        surroundings.drivers.add(SESSION_TYPE, self._driver)
        surroundings.bus.subscribe(RoadmapActivity, self._hear)
        surroundings.bus.subscribe(ProjectDeleted, self._hear_end)

    def _driver(self, output: "SessionOutput") -> "WatchDriver":
        driver = WatchDriver(output, self.store, self._watchers)
        self._watchers[output.session.session_id] = driver
        return driver

    async def _hear(self, activity: RoadmapActivity) -> None:
        for watcher in list(self._watchers.values()):
            if watcher.roadmap_id == activity.roadmap_id:
                await watcher.tell(activity)

    async def _hear_end(self, deleted: ProjectDeleted) -> None:
        for watcher in list(self._watchers.values()):
            if watcher.project_id == deleted.project_id:
                await watcher.close("deleted")


class WatchDriver(Driver):
    """One session that watches one roadmap. It ends with its roadmap."""

    busy = False

    def __init__(self, output: "SessionOutput", store: Store, watchers: "dict[str, WatchDriver]") -> None:
        self.roadmap_id = output.session.context.roadmap_id or ""
        self.project_id = ""
        self._output = output
        self._store = store
        self._watchers = watchers

    async def start(self) -> None:
        """Begin. Raises `NotFound` when there is no such roadmap."""
        try:
            await self._look_up()
        except BaseException:
            self._watchers.pop(self._output.session.session_id, None)
            raise
        await self._output.describe(roadmapId=self.roadmap_id)
        await self._output.status("connected", "Watching the roadmap.")

    async def resume(self) -> None:
        try:
            await self._look_up()
        except NotFound:
            await self.close("deleted")

    async def tell(self, activity: RoadmapActivity) -> None:
        """Append what happened; the roadmap's own end ends the session."""
        try:
            await self._output.append([_payload(activity)])
            if activity.happening == "roadmap-deleted":
                await self.close("deleted")
        except NexusError:
            # The session ended meanwhile, or its log cannot be written: whoever changed the roadmap is not to blame.
            logger.exception("a session could not be told of %s", activity.happening)

    async def close(self, reason: str) -> None:
        self._watchers.pop(self._output.session.session_id, None)
        await self._output.end(reason)

    async def _look_up(self) -> None:
        row = await self._store.read(lambda connection: find(connection, roadmaps, self.roadmap_id))
        self.project_id = row.project_id


def _payload(activity: RoadmapActivity) -> str:
    item = activity.item.model_dump(mode="json", by_alias=True)
    told = {"type": "roadmap-activity", "happening": activity.happening, "roadmapId": activity.roadmap_id}
    content = item.get("content")
    if isinstance(content, str) and len(content) > PIECE:
        return lines.payload({**told, "item": {**item, "content": content[:PIECE]}, "truncated": True})
    return lines.payload({**told, "item": item})
