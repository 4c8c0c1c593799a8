"""Requests: validated once, bounded, answered in one shape whatever they are; a write sent again is done once."""

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import BaseModel
from sqlalchemy import event, func, select, update

from nexus.kernel.api.endpoint import MOST_BODY_BYTES, Endpoint
from nexus.kernel.api.idempotency import KEPT
from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.kernel import Kernel
from nexus.kernel.postgresql.opening import WRITE_LOCK
from nexus.kernel.store.schema import answers
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.kernel import Health
from nexus.schemas.model import rfc3339
from tests.kernel.answers import answer, make_chat, make_project, make_roadmap, refusal


async def test_a_route_that_is_not_there_is_told_like_every_error(api: httpx.AsyncClient) -> None:
    for path in ("/", "/api", "/api/nothing", "/api/projects/", "/api/projects/a/b/c", "/%00/../x"):
        assert refusal(await api.get(path), 404, "RESOURCE_NOT_FOUND")["details"]["resource"] == "route"


async def test_a_method_that_a_route_has_not_is_told_with_those_it_has(api: httpx.AsyncClient) -> None:
    refused = await api.delete("/api/projects")
    assert refusal(refused, 405, "RESOURCE_NOT_FOUND")["details"]["available"] == ["GET", "POST"]
    assert refused.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"nul\x00", b'{"name":"x"} more', b"[" * 10_000])
async def test_a_body_that_is_no_json_is_a_parse_error(api: httpx.AsyncClient, body: bytes) -> None:
    assert refusal(await api.post("/api/projects", content=body), 422, "INPUT_INVALID")["type"] == "parse"


async def test_a_field_that_does_not_exist_or_fit_is_named(api: httpx.AsyncClient) -> None:
    error = refusal(await api.post("/api/projects", json={"name": "x", "nam": "y"}), 422, "VALIDATION_ERROR")
    assert error["details"]["field"] == "nam"
    assert "gitUrl" in error["details"]["available"]
    error = refusal(await api.post("/api/projects", json={"name": "a\nb", "hidden": "maybe"}), 422, "VALIDATION_ERROR")
    assert [problem["field"] for problem in error["details"]["problems"]] == ["name", "hidden"]
    error = refusal(await api.post("/api/projects", json=["name"]), 422, "VALIDATION_ERROR")
    assert "field" not in error["details"]
    for query in ("?nam=x", "?filter=a&filter=b", "?limit=0x10"):
        refusal(await api.get(f"/api/projects{query}"), 422, "VALIDATION_ERROR")
    refusal(await api.get("/health?x=1"), 422, "VALIDATION_ERROR")


async def test_a_body_over_the_bound_is_refused_before_it_is_whole(kernel: Kernel) -> None:
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": b" " * (1024 * 1024), "more_body": True}

    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/projects", "query_string": b"", "headers": []}
    await kernel.app(scope, receive, send)
    assert messages[0]["status"] == 422
    assert json.loads(messages[1]["body"])["error"]["details"]["field"] == "body"
    assert sent == MOST_BODY_BYTES // (1024 * 1024) + 1


async def test_the_request_id_comes_back_and_is_made_where_none_fits(api: httpx.AsyncClient) -> None:
    mine = await api.get("/health", headers={"x-request-id": "req_mine", "traceparent": "00-a-b-01"})
    assert mine.headers["x-request-id"] == "req_mine"
    for odd in ("x" * 201, "é", ""):
        made = (await api.get("/health", headers={"x-request-id": odd.encode("latin-1")})).headers["x-request-id"]
        assert made.startswith("req_")
    assert (await api.get("/nothing", headers={"x-request-id": "req_m"})).headers["x-request-id"] == "req_m"


async def test_a_bug_is_answered_as_internal_and_logged_with_its_traceback(
    kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: ApiRequest[None, None]) -> BaseModel:
        raise ZeroDivisionError("secret detail")

    endpoint = next(route.app for route in kernel.app.routes if getattr(route, "path", "") == "/health")
    assert isinstance(endpoint, Endpoint)
    endpoint.operations["PUT"] = Operation("PUT", "/health", "broken", "Break.", broken, Health)
    transport = httpx.ASGITransport(kernel.app)
    with caplog.at_level(logging.ERROR):
        async with httpx.AsyncClient(transport=transport, base_url="http://kernel") as api:
            error = refusal(await api.put("/health", headers={"x-request-id": "req_bug"}), 500, "INTERNAL_ERROR")
    assert "secret detail" not in json.dumps(error)
    record = next(record for record in caplog.records if record.name.startswith("nexus.kernel"))
    assert "req_bug" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_write_sent_again_is_answered_again_and_done_once(api: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "idk_1"}
    first = await api.post("/api/projects", json={"name": "Once"}, headers=key)
    again = await api.post("/api/projects", json={"name": "Once"}, headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert len(answer(await api.get("/api/projects"))["items"]) == 1

    other = await api.post("/api/projects", json={"name": "Other"}, headers=key)
    assert refusal(other, 409, "RESOURCE_CONFLICT")["details"]["idempotencyKey"] == "idk_1"
    elsewhere = await api.post("/api/templates", json={"name": "Once"}, headers=key)
    assert elsewhere.status_code in (409, 422)


async def test_a_write_sent_many_times_at_once_is_done_once(api: httpx.AsyncClient) -> None:
    calls = [
        api.post("/api/projects", json={"name": "Once"}, headers={"idempotency-key": "idk_many"}) for _ in range(20)
    ]
    answers = await asyncio.gather(*calls)
    assert {(each.status_code, each.content) for each in answers} == {(201, answers[0].content)}


@contextmanager
def writes_held(data_folder: Path, database: DatabaseAddress | None) -> Iterator[None]:
    if database is not None:
        with psycopg.connect(database.url) as holding:
            holding.execute("SELECT pg_advisory_xact_lock(%s)", (WRITE_LOCK,))
            yield
        return
    with closing(sqlite3.connect(data_folder / "nexus.db", isolation_level=None)) as holding:
        holding.execute("BEGIN IMMEDIATE")
        yield


async def test_a_write_whose_client_left_is_not_done_again_when_it_is_sent_again(
    api: httpx.AsyncClient, kernel: Kernel, data_folder: Path, database: DatabaseAddress | None
) -> None:
    chat = await make_chat(api, await make_roadmap(api, await make_project(api)))
    path, key = f"/api/chats/{chat['id']}/messages", {"idempotency-key": "idk_left"}
    begun = threading.Event()

    def on_statement(*told: Any) -> None:
        if told[2].startswith("BEGIN") or "advisory" in told[2]:
            begun.set()

    event.listen(kernel._store._writes, "before_cursor_execute", on_statement)
    # Another connection holds the database, so that the write has begun and is not done when its client leaves.
    with writes_held(data_folder, database):
        left = asyncio.create_task(api.post(path, json={"content": "once"}, headers=key))
        assert await asyncio.to_thread(begun.wait, 20)
        left.cancel()
        again = asyncio.create_task(api.post(path, json={"content": "once"}, headers=key))
        async with asyncio.timeout(20):
            while kernel._store._writer._work_queue.empty():  # noqa: ASYNC110 -- the queue of a thread tells no loop
                await asyncio.sleep(0)
    told = answer(await again, 201)
    assert answer(await api.get(path))["items"] == [told]


async def test_a_deletion_sent_again_is_answered_as_the_first_time(api: httpx.AsyncClient) -> None:
    made = await make_project(api)
    answers = [
        await api.delete(f"/api/projects/{made['id']}", headers={"idempotency-key": "idk_gone"}) for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert answers[1].status_code == 200


async def test_a_write_that_failed_is_tried_anew_under_its_key(api: httpx.AsyncClient) -> None:
    taken = await make_project(api, "Name")
    key = {"idempotency-key": "idk_failed"}
    refusal(await api.post("/api/projects", json={"name": "Name"}, headers=key), 409, "RESOURCE_CONFLICT")
    await api.delete(f"/api/projects/{taken['id']}")
    answer(await api.post("/api/projects", json={"name": "Name"}, headers=key), 201)


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
async def test_a_key_that_is_no_plain_short_text_is_refused(api: httpx.AsyncClient, key: str) -> None:
    refused = await api.post("/api/projects", json={"name": "x"}, headers={"idempotency-key": key})
    assert refusal(refused, 422, "VALIDATION_ERROR")["details"]["field"] == "idempotency-key"


async def test_an_answer_is_kept_for_a_day(api: httpx.AsyncClient, kernel: Kernel) -> None:
    key = {"idempotency-key": "idk_old"}
    answer(await api.post("/api/projects", json={"name": "First"}, headers=key), 201)
    aged = update(answers).values(created_at=rfc3339(datetime.now(UTC) - KEPT))
    await kernel._store.write(lambda connection: connection.execute(aged))
    answer(await api.post("/api/projects", json={"name": "Second"}, headers=key), 201)
    kept = select(func.count()).select_from(answers)
    assert await kernel._store.read(lambda connection: connection.execute(kept).scalar_one()) == 1


async def test_a_request_that_comes_when_the_kernel_stops_is_told_to_come_again(
    api: httpx.AsyncClient, kernel: Kernel
) -> None:
    await kernel.close()
    error = refusal(await api.get("/api/projects"), 503, "BACKEND_UNAVAILABLE")
    assert error["details"]["retryable"] is True
