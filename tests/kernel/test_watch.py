"""Sessions that watch a roadmap: what is done in it, told in order, to its end."""

import asyncio
from typing import Any

import httpx

from tests.kernel.answers import answer, make_chat, make_project, make_roadmap, refusal, say


async def watch(api: httpx.AsyncClient, roadmap: dict[str, Any]) -> str:
    place = {"projectId": roadmap["projectId"], "roadmapId": roadmap["id"]}
    opened = answer(await api.post("/api/sessions", json={"type": "meta-chat", "context": place}), 201)
    return str(opened["sessionId"])


async def told(api: httpx.AsyncClient, session: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    after, newest = 0, 1
    while after < newest:
        piece = answer(await api.get(f"/api/sessions/{session}/events", params={"after": str(after)}))
        events, after, newest = events + piece["events"], piece["last"], piece["newest"]
    return [event["payload"] for event in events if event["event"] == "data"]


async def until_closed(api: httpx.AsyncClient, session: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            piece = answer(await api.get(f"/api/sessions/{session}/events", params={"wait": "5"}))
            if piece["end"]:
                return dict(piece["events"][-1]["payload"])


async def test_all_that_happens_is_told_in_order(api: httpx.AsyncClient) -> None:
    project = await make_project(api)
    roadmap, other = await make_roadmap(api, project, "one"), await make_roadmap(api, project, "other")
    session = await watch(api, roadmap)
    chat = await make_chat(api, roadmap)
    said = await say(api, chat, "Grüße")
    await api.patch(f"/api/roadmaps/{roadmap['id']}", json={"progress": 40})
    await say(api, await make_chat(api, other), "elsewhere")
    await api.delete(f"/api/chats/{chat['id']}")

    happened = await told(api, session)
    assert [each["happening"] for each in happened] == [
        "chat-created",
        "message-sent",
        "roadmap-updated",
        "chat-deleted",
    ]
    assert {each["type"] for each in happened} == {"roadmap-activity"}
    assert happened[1]["item"] == said
    assert happened[2]["item"]["progress"] == 40
    assert answer(await api.get(f"/api/sessions/{session}"))["metadata"]["roadmapId"] == roadmap["id"]


async def test_it_ends_with_its_roadmap_and_with_its_project(api: httpx.AsyncClient) -> None:
    project = await make_project(api)
    first, second = await make_roadmap(api, project, "a"), await make_roadmap(api, project, "b")
    watched = [await watch(api, roadmap) for roadmap in (first, second)]
    await api.delete(f"/api/roadmaps/{first['id']}")
    assert (await told(api, watched[0]))[-1]["happening"] == "roadmap-deleted"
    await api.delete(f"/api/projects/{project['id']}")
    assert [(await until_closed(api, session))["reason"] for session in watched] == ["deleted", "deleted"]


async def test_a_roadmap_that_is_not_there_cannot_be_watched(api: httpx.AsyncClient) -> None:
    place = {"projectId": "none", "roadmapId": "none"}
    refusal(await api.post("/api/sessions", json={"type": "meta-chat", "context": place}), 404, "RESOURCE_NOT_FOUND")
    assert answer(await api.get("/api/sessions"))["items"] == []


async def test_a_message_of_a_million_characters_is_told_shortened(api: httpx.AsyncClient) -> None:
    roadmap = await make_roadmap(api, await make_project(api))
    session = await watch(api, roadmap)
    await say(api, await make_chat(api, roadmap), "\u0001" * 1_000_000)
    last = (await told(api, session))[-1]
    assert (len(last["item"]["content"]), last["truncated"]) == (100_000, True)
