"""Anything at all is sent to every operation: the answer is one of the known shapes, and never a fault of ours."""

import asyncio
import base64
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.kernel.api.failure import STATUS_BY_CODE, STATUS_BY_TYPE
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from tests.kernel.answers import answer, make_chat, make_project, make_roadmap, say

TEXT = st.text(max_size=20) | st.sampled_from(["", "\0", "\ud800", "-name", "createdAt", "%", "_", "a" * 5000, "ß"])
WHOLE = st.integers() | st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400])
PLACES = st.tuples(st.sampled_from(["name", "createdAt", "-name", ""]), TEXT | WHOLE, TEXT | WHOLE)
CURSORS = PLACES.map(lambda place: base64.urlsafe_b64encode(json.dumps(place).encode()).rstrip(b"=").decode())
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats() | TEXT | CURSORS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=6,
)
BODY_FIELDS = (
    "name",
    "title",
    "content",
    "status",
    "progress",
    "tags",
    "note",
    "theme",
    "category",
    "projectId",
    "path",
)
SAFE = ("agent.", "kernel.", "debug.kernel.status", "debug.kernel.metrics")
"""The operations of this kernel alone: the others start programs or look at the machine."""


class Running:
    """A kernel with a little in it, and its own loop."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.kernel = self.loop.run_until_complete(Kernel.open(folder, OneShotHost()))
        transport = httpx.ASGITransport(self.kernel.app)
        self.api = httpx.AsyncClient(transport=transport, base_url="http://kernel")
        self.ids, self.operations = self.loop.run_until_complete(self._fill())

    async def _fill(self) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
        project = await make_project(self.api)
        roadmap = await make_roadmap(self.api, project)
        chat = await make_chat(self.api, roadmap)
        message = await say(self.api, chat, "hello")
        paths = answer(await self.api.get("/openapi.json"))["paths"]
        operations = [
            (method, path, [each["name"] for each in told["parameters"] if each["in"] == "query"])
            for path, methods in paths.items()
            for method, told in methods.items()
            if told["operationId"].startswith(SAFE) and "terminal" not in path
        ]
        return [each["id"] for each in (project, roadmap, chat, message)], operations

    def call(
        self, method: str, path: str, query: list[tuple[str, str]], body: bytes, key: str | None
    ) -> httpx.Response:
        headers = {"idempotency-key": key.encode("utf-8", "replace")} if key is not None else {}
        request = self.api.request(method, path, params=query, content=body, headers=headers)
        return self.loop.run_until_complete(request)

    def close(self) -> None:
        self.loop.run_until_complete(self.api.aclose())
        self.loop.run_until_complete(self.kernel.close())
        self.loop.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as folder:
        running = Running(Path(folder) / "data")
        yield running
        running.close()


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_anything_is_answered_in_a_known_shape(running: Running, data: st.DataObject) -> None:
    method, path, names = data.draw(st.sampled_from(running.operations))
    row_id = data.draw(st.sampled_from([*running.ids, "x", "%00", "é", "a" * 3000]))
    values = st.sampled_from(running.ids) | CURSORS | WHOLE.map(str) | TEXT
    query = data.draw(st.lists(st.tuples(st.sampled_from([*names, "odd"]), values), max_size=4))
    shaped = st.dictionaries(
        st.sampled_from(BODY_FIELDS),
        ANYTHING | st.sampled_from(running.ids),
        max_size=4,
    )
    body = data.draw(st.binary(max_size=30) | (shaped | ANYTHING).map(lambda value: json.dumps(value).encode()))
    key = data.draw(st.none() | st.sampled_from(["k", "", "x" * 300]))

    sent = [(name, value.encode("utf-8", "replace").decode()) for name, value in query]
    response = running.call(method.upper(), path.replace("{id}", row_id), sent, body, key)

    assert response.status_code not in (500, 502, 503, 504, 507), response.text
    told = response.json()
    if response.status_code >= 400:
        error = told["error"]
        known = STATUS_BY_CODE.get(error["code"]) or STATUS_BY_TYPE[error["type"]]
        assert response.status_code in (known, 405)
        assert error["message"]
