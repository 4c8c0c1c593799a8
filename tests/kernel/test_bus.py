"""The event bus: every subscriber of a class hears its events, and none is another's matter."""

import logging
from pathlib import Path

import httpx
import pytest

from nexus.kernel.api.app import application
from nexus.kernel.api.endpoint import ApiState
from nexus.kernel.api.idempotency import Idempotency
from nexus.kernel.bus import Bus
from nexus.kernel.host import OneShotHost
from nexus.kernel.part import Surroundings
from nexus.kernel.projects.chats import Chats
from nexus.kernel.projects.events import ProjectDeleted, RoadmapActivity
from nexus.kernel.projects.projects import Projects
from nexus.kernel.projects.roadmaps import Roadmaps
from nexus.kernel.store.store import Store
from tests.kernel.answers import make_chat, make_project, make_roadmap, refusal, say


async def test_an_event_reaches_its_subscribers_and_a_failing_one_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    bus = Bus()
    heard: list[object] = []

    async def hear(event: ProjectDeleted) -> None:
        heard.append(event)

    async def fail(event: ProjectDeleted) -> None:
        raise ZeroDivisionError

    for subscriber in (fail, hear):
        bus.subscribe(ProjectDeleted, subscriber)
    with caplog.at_level(logging.ERROR):
        await bus.publish(ProjectDeleted("prj_1"))
        await bus.publish("an event that nobody wants")
    assert heard == [ProjectDeleted("prj_1")]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


async def test_what_happens_in_a_project_is_told_once_it_is_so(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "nexus.db")
    surroundings = Surroundings(store, tmp_path, OneShotHost(), {})
    parts = [make(surroundings) for make in (Projects, Roadmaps, Chats)]
    for part in parts:
        await part.start()
    app = application([each for part in parts for each in part.operations()], (), ApiState(store, Idempotency(store)))
    told: list[str] = []

    async def hear(event: RoadmapActivity) -> None:
        told.append(event.happening)

    async def hear_end(event: ProjectDeleted) -> None:
        # By now it is committed: whoever asks finds nothing.
        refusal(await api.get(f"/api/projects/{event.project_id}"), 404, "RESOURCE_NOT_FOUND")
        told.append(event.project_id)

    surroundings.bus.subscribe(RoadmapActivity, hear)
    surroundings.bus.subscribe(ProjectDeleted, hear_end)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kernel") as api:
        project = await make_project(api)
        roadmap = await make_roadmap(api, project)
        chat = await make_chat(api, roadmap)
        await say(api, chat, "hello")
        await api.delete(f"/api/chats/{chat['id']}/messages")
        await api.patch(f"/api/chats/{chat['id']}", json={"title": "x"})
        await api.patch(f"/api/roadmaps/{roadmap['id']}", json={"progress": 1})
        await api.delete(f"/api/chats/{chat['id']}")
        await api.delete(f"/api/roadmaps/{roadmap['id']}")
        await api.delete(f"/api/roadmaps/{roadmap['id']}")
        await api.delete(f"/api/projects/{project['id']}")
    assert told == [
        "chat-created",
        "message-sent",
        "messages-cleared",
        "chat-updated",
        "roadmap-updated",
        "chat-deleted",
        "roadmap-deleted",
        project["id"],
    ]
    await store.close()
