"""Roadmaps, their chats and what is said in them: created below one another, counted, and deleted together."""

from typing import Any

import httpx

from tests.kernel.answers import answer, make_chat, make_project, make_roadmap, refusal, say


async def test_a_roadmap_stands_planned_at_nothing_and_is_changed(api: httpx.AsyncClient) -> None:
    project = await make_project(api)
    new = {"title": " Release ", "tags": ["Größe", "v1"]}
    made = answer(await api.post(f"/api/projects/{project['id']}/roadmaps", json=new), 201)
    assert (made["title"], made["status"], made["progress"]) == ("Release", "planned", 0)
    assert made["projectId"] == project["id"]
    assert answer(await api.get(f"/api/roadmaps/{made['id']}")) == made

    changed = answer(await api.patch(f"/api/roadmaps/{made['id']}", json={"progress": 40, "status": "active"}))
    assert changed == made | {"progress": 40, "status": "active", "updatedAt": changed["updatedAt"]}
    for progress in (-1, 101, 1.5, "much"):
        refused = await api.patch(f"/api/roadmaps/{made['id']}", json={"progress": progress})
        assert refusal(refused, 422, "VALIDATION_ERROR")["details"]["field"] == "progress"


async def test_roadmaps_are_listed_for_their_project_alone(api: httpx.AsyncClient) -> None:
    one, other = await make_project(api, "one"), await make_project(api, "other")
    for title in ("b", "a", "B"):
        await make_roadmap(api, one, title)
    await make_roadmap(api, other, "x")
    path = f"/api/projects/{one['id']}/roadmaps"
    await api.post(path, json={"title": "tagged", "tags": ["ÜBER"]})

    async def titles(**query: str) -> list[str]:
        return [item["title"] for item in answer(await api.get(path, params=query))["items"]]

    assert await titles() == ["b", "a", "B", "tagged"]
    assert await titles(sort="title") == ["a", "b", "B", "tagged"]
    assert await titles(title="b") == ["b"]
    assert await titles(filter="über") == ["tagged"]
    refusal(await api.get("/api/projects/none/roadmaps"), 404, "RESOURCE_NOT_FOUND")
    refusal(await api.post("/api/projects/none/roadmaps", json={"title": "x"}), 404, "RESOURCE_NOT_FOUND")


async def test_a_chat_is_created_found_and_changed(api: httpx.AsyncClient) -> None:
    roadmap = await make_roadmap(api, await make_project(api))
    path = f"/api/roadmaps/{roadmap['id']}/chats"
    made = answer(await api.post(path, json={"title": "Kickoff", "note": "first"}), 201)
    assert (made["status"], made["note"], made["roadmapId"]) == ("open", "first", roadmap["id"])
    assert answer(await api.get(path))["items"] == [made]
    changed = answer(await api.patch(f"/api/chats/{made['id']}", json={"note": None, "status": "closed"}))
    assert changed == made | {"note": None, "status": "closed", "updatedAt": changed["updatedAt"]}
    refused = await api.patch(f"/api/chats/{made['id']}", json={"status": "sleeping"})
    assert refusal(refused, 422, "VALIDATION_ERROR")["details"]["field"] == "status"


async def test_messages_come_in_the_order_in_which_they_were_said(api: httpx.AsyncClient) -> None:
    chat = await make_chat(api, await make_roadmap(api, await make_project(api)))
    said = [await say(api, chat, f"message {number}") for number in range(5)]
    said.append(await say(api, chat, "done", role="assistant"))
    path = f"/api/chats/{chat['id']}/messages"

    assert answer(await api.get(path))["items"] == said
    assert answer(await api.get(path, params={"sort": "-createdAt"}))["items"] == said[::-1]
    assert answer(await api.get(path, params={"filter": "DONE"}))["items"] == said[-1:]
    first = answer(await api.get(path, params={"limit": "4"}))
    rest = answer(await api.get(path, params={"limit": "4", "cursor": first["nextCursor"]}))
    assert first["items"] + rest["items"] == said
    assert answer(await api.delete(path)) == {"deleted": 6}
    assert answer(await api.get(path))["items"] == []


async def test_what_belongs_to_a_project_goes_with_it_and_is_counted(api: httpx.AsyncClient) -> None:
    project = await make_project(api)
    chats: list[dict[str, Any]] = []
    roadmaps = [await make_roadmap(api, project, title) for title in ("one", "two")]
    for roadmap in roadmaps:
        chats += [await make_chat(api, roadmap, title) for title in ("a", "b")]
    for chat in chats:
        await say(api, chat, "hello")

    status = answer(await api.get(f"/api/roadmaps/{roadmaps[0]['id']}/status"))
    assert (status["chatCount"], status["messageCount"]) == (2, 2)
    details = answer(await api.get(f"/api/projects/{project['id']}/details"))
    assert (details["roadmapCount"], details["chatCount"]) == (2, 4)

    assert answer(await api.delete(f"/api/chats/{chats[0]['id']}"))["cascade"] == {"messages": 1}
    assert answer(await api.delete(f"/api/roadmaps/{roadmaps[0]['id']}"))["cascade"] == {"chats": 1, "messages": 1}
    gone = answer(await api.delete(f"/api/projects/{project['id']}"))
    assert gone["cascade"] == {"roadmaps": 1, "chats": 2, "messages": 2, "pipelines": 0, "runs": 0}
    for path in (f"roadmaps/{roadmaps[1]['id']}", f"chats/{chats[3]['id']}", f"chats/{chats[3]['id']}/messages"):
        refusal(await api.get(f"/api/{path}"), 404, "RESOURCE_NOT_FOUND")
