"""The event bus: every subscriber of a class hears its events, and none is another's matter."""

import logging

import httpx
import pytest

from nexus.kernel.bus import Bus
from nexus.kernel.events import ProjectDeleted, RoadmapActivity
from nexus.kernel.kernel import Kernel
from nexus.kernel.projects.projects import Projects
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


async def test_what_happens_in_a_project_is_told_once_it_is_so(api: httpx.AsyncClient, kernel: Kernel) -> None:
    bus = next(part.bus for part in kernel._parts if isinstance(part, Projects))
    told: list[str] = []

    async def hear(event: RoadmapActivity) -> None:
        told.append(event.happening)

    async def hear_end(event: ProjectDeleted) -> None:
        # By now it is committed: whoever asks finds nothing.
        refusal(await api.get(f"/api/projects/{event.project_id}"), 404, "RESOURCE_NOT_FOUND")
        told.append(event.project_id)

    bus.subscribe(RoadmapActivity, hear)
    bus.subscribe(ProjectDeleted, hear_end)
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
