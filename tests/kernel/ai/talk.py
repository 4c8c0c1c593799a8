"""AI sessions over the kernel's API: made, spoken to, and read to the end of an answer."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from tests.kernel.answers import answer

Event = dict[str, Any]


async def open_chat(api: httpx.AsyncClient, backend: str, **options: Any) -> str:
    """Open an AI session and return its id."""
    body = {"type": "ai-chat", "options": {"backend": backend, **options}}
    return str(answer(await api.post("/api/sessions", json=body), 201)["sessionId"])


async def say(api: httpx.AsyncClient, session: str, text: str, **caller: Any) -> dict[str, Any]:
    """Say something and return what is told of its answer."""
    body = {"content": text, "caller": caller}
    return answer(await api.post(f"/api/ai/sessions/{session}/messages", json=body), 201)


async def events_until(api: httpx.AsyncClient, session: str, after: int, done: str) -> list[Event]:
    """Return the events behind a position, up to the one that tells the status `done`."""
    events: list[Event] = []
    async with asyncio.timeout(60):
        while True:
            query = {"after": str(after), "wait": "10"}
            piece = answer(await api.get(f"/api/sessions/{session}/events", params=query))
            events += piece["events"]
            after = piece["last"]
            if any(event["event"] == "status" and event["payload"]["status"] == done for event in events):
                return events
            assert not piece["end"], events


async def ask(api: httpx.AsyncClient, session: str, text: str, **caller: Any) -> list[Event]:
    """Say something and return the events of its answer, up to idle."""
    sent = await say(api, session, text, **caller)
    return await events_until(api, session, sent["after"], "idle")


def text_of(events: list[Event]) -> str:
    return "".join(event["payload"]["content"] for event in events if event["payload"].get("type") == "ai-token")


async def history(api: httpx.AsyncClient, session: str) -> list[dict[str, Any]]:
    page = answer(await api.get(f"/api/ai/sessions/{session}/messages"))
    return list(page["items"])


def write_script(folder: Path, *turns: dict[str, Any], **more: Any) -> str:
    """Write a script and return the back end that replays it."""
    path = folder / "script.json"
    path.write_text(json.dumps({"turns": list(turns), **more}), "utf-8")
    return f"script:{path}"
