"""What the tests of the API ask again and again."""

from typing import Any

import httpx


def answer(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    """Return the answer's body; it has the status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    return body


def refusal(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the error that the answer is; it has the status and the code, and a sentence."""
    error: dict[str, Any] = answer(response, status)["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["details"]["exitCode"] > 0
    return error


async def make_project(api: httpx.AsyncClient, name: str = "Demo", **fields: Any) -> dict[str, Any]:
    """Create a project and return it."""
    return answer(await api.post("/api/projects", json={"name": name, **fields}), 201)


async def make_roadmap(api: httpx.AsyncClient, project: dict[str, Any], title: str = "First") -> dict[str, Any]:
    """Create a roadmap and return it."""
    return answer(await api.post(f"/api/projects/{project['id']}/roadmaps", json={"title": title}), 201)


async def make_chat(api: httpx.AsyncClient, roadmap: dict[str, Any], title: str = "Kickoff") -> dict[str, Any]:
    """Create a chat and return it."""
    return answer(await api.post(f"/api/roadmaps/{roadmap['id']}/chats", json={"title": title}), 201)


async def say(api: httpx.AsyncClient, chat: dict[str, Any], content: str, **fields: Any) -> dict[str, Any]:
    """Say something in a chat and return the message."""
    return answer(await api.post(f"/api/chats/{chat['id']}/messages", json={"content": content, **fields}), 201)
