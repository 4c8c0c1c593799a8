"""A kernel among others: it says what it is, and takes no more programs than it has room for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import HOLDER_NAME, Kernel
from nexus.kernel.settings import KernelSettings, Node
from tests.kernel.answers import answer, refusal
from tests.kernel.holder.programs import end

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_node_takes_as_many_programs_as_it_has_room_for(tmp_path: Path) -> None:
    node = Node("node", "one.example", capacity=2, hub_url="https://hub.example")
    kernel = await Kernel.open(tmp_path, OneShotHost(), settings=KernelSettings(node=node))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
            health = answer(await api.get("/health"))
            assert (health["role"], health["host"], health["capacity"]) == ("node", "one.example", 2)
            assert (health["running"], health["accepts"]) == (0, True)
            answers = await asyncio.gather(*(begin(api, tmp_path) for _ in range(5)))
            made = [each for each in answers if each.status_code == 201]
            assert len(made) == 2
            for refused in answers:
                if refused.status_code != 201:
                    error = refusal(refused, 503, "RESOURCE_UNAVAILABLE")
                    assert (error["details"]["capacity"], error["details"]["retryable"]) == (2, True)
                    assert error["details"]["hint"] == "nexus debug process list"
            health = answer(await api.get("/health"))
            assert (health["running"], health["accepts"]) == (2, False)
            # Where one ends there is room for another.
            answer(await api.post(f"/api/sessions/{made[0].json()['sessionId']}/close"))
            answer(await begin(api, tmp_path), 201)
    finally:
        await kernel.close()
        await end(HolderPlace(str(tmp_path / HOLDER_NAME)))


async def begin(api: httpx.AsyncClient, folder: Path) -> httpx.Response:
    options = {"argv": ["sleep", "1000"], "cwd": str(folder)}
    context = {"processId": f"p{id(options)}"}
    return await api.post("/api/sessions", json={"type": "debug-stream", "context": context, "options": options})
