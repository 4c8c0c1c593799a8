"""What a pipeline may do is granted to who writes it, and what a run works on to who starts it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.kernel.settings import StepSettings
from nexus.schemas.run import RUN_ENDS
from tests.kernel.answers import answer, make_project, refusal
from tests.kernel.data.conftest import begin, complete, send
from tests.kernel.pipelines.documents import written
from tests.kernel.server.running import Running, running

WRITER = ["pipeline.*"]
PIPELINES = "/api/pipelines"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path / "data") as made:
        yield made


def one(**fields: Any) -> dict[str, Any]:
    return {"say": {"run": ["echo"], **fields}}


async def held_to(server: Running, document: dict[str, Any], operation: str, *grants: str) -> dict[str, Any]:
    """Hold that to write the document wants the grants beside the commands' own; return what was written by them."""
    writer = await server.signed_in("writer", patterns=WRITER)
    granted = await server.signed_in("granted", patterns=[*WRITER, *grants])
    plain = answer(await writer.post(PIPELINES, json=written(name="plain")), 201)
    for refused in (
        await writer.post(PIPELINES, json=document),
        await writer.put(f"{PIPELINES}/{plain['id']}", json={"document": document}),
    ):
        assert refusal(refused, 403, "PERMISSION_DENIED")["details"]["operation"] == operation
    changed = answer(await granted.put(f"{PIPELINES}/{plain['id']}", json={"document": document}))
    assert changed["revision"] == 2
    # Who may not have written it may have it run: it says what it does, and they do not.
    answer(await writer.post(f"{PIPELINES}/{plain['id']}/runs", json={}), 201)
    return changed


async def test_secrets_are_given_to_pipelines_of_who_may_use_them(server: Running) -> None:
    await held_to(server, written(steps=one(secrets=["KEY"])), "settings.secret.use", "settings.secret.use")
    told = answer(await server.owner.get("/api/audit", params={"limit": 1000}))["items"]
    denied = [each["operation"] for each in told if each["outcome"] == "denied"]
    assert sorted(denied) == ["pipeline.definition.create", "pipeline.definition.update"]


async def test_the_network_is_reached_by_pipelines_of_who_has_a_shell(server: Running) -> None:
    await held_to(server, written(steps=one(network=True)), "agent.terminal.open", "agent.terminal.open")


async def test_a_projects_files_are_read_by_pipelines_of_who_may_read_them(server: Running) -> None:
    await make_project(server.owner, "theirs")
    await held_to(server, written(project="theirs"), "agent.file.read", "agent.file.read")
    writer = await server.signed_in("other", patterns=WRITER)
    # Who may not read its files does not learn whether there is such a project.
    for project in ("theirs", "nobody's"):
        refusal(await writer.post(PIPELINES, json=written(name="x", project=project)), 403, "PERMISSION_DENIED")
        answer(await writer.post(f"{PIPELINES}/validate", json=written(name="x", project=project)))


async def test_without_a_sandbox_a_pipeline_is_as_good_as_a_shell(tmp_path: Path) -> None:
    async with running(tmp_path / "data", steps=StepSettings(sandbox="none")) as server:
        writer = await server.signed_in("writer", patterns=WRITER)
        kept = answer(await server.owner.post(PIPELINES, json=written()), 201)
        for refused in (
            await writer.post(PIPELINES, json=written(name="x")),
            await writer.put(f"{PIPELINES}/{kept['id']}", json={"document": written()}),
            await writer.post(f"{PIPELINES}/{kept['id']}/runs", json={}),
        ):
            assert refusal(refused, 403, "PERMISSION_DENIED")["details"]["operation"] == "agent.terminal.open"
        granted = await server.signed_in("granted", patterns=[*WRITER, "agent.terminal.open"])
        answer(await granted.post(PIPELINES, json=written(name="x")), 201)


async def over(api: httpx.AsyncClient, run: dict[str, Any]) -> None:
    async with asyncio.timeout(60):
        while answer(await api.get(f"/api/runs/{run['id']}"))["status"] not in RUN_ENDS:  # noqa: ASYNC110 -- the row is what is asked for
            await asyncio.sleep(0.02)


async def test_a_run_works_on_data_sets_that_its_starter_may_pull(server: Running) -> None:
    upload = await begin(server.owner, b"content", "sales")
    await send(server.owner, b"content", upload["parts"])
    answer(await complete(server.owner, upload, b"content"))
    writer = await server.signed_in("writer", patterns=WRITER)
    granted = await server.signed_in("granted", patterns=[*WRITER, "data.dataset.pull"])
    document = written(steps=one(datasets=["sales"]), datasets={"sales": None})
    runs = f"{PIPELINES}/{answer(await writer.post(PIPELINES, json=document), 201)['id']}/runs"
    told = {"datasets": {"sales": "sales"}}
    # There is no learning which data sets there are, either.
    for reference in ("sales", "nothing"):
        refusal(await writer.post(runs, json={"datasets": {"sales": reference}}), 403, "PERMISSION_DENIED")
    run = answer(await granted.post(runs, json=told), 201)
    # This kernel was told of no sandbox: no step runs.
    await over(granted, run)
    for action in ("retry", "resume"):
        refusal(await writer.post(f"/api/runs/{run['id']}/{action}"), 403, "PERMISSION_DENIED")
    answer(await granted.post(f"/api/runs/{run['id']}/retry"), 201)


async def test_a_runs_session_is_the_kernels_and_read_by_who_may_see_the_run(server: Running) -> None:
    pipeline = answer(await server.owner.post(PIPELINES, json=written()), 201)
    run = answer(await server.owner.post(f"{PIPELINES}/{pipeline['id']}/runs", json={}), 201)
    session = {"type": "pipeline-run", "context": {"runId": run["id"]}}
    root = await server.signed_in("root", "admin")
    for client in (root, server.owner):
        refusal(await client.post("/api/sessions", json=session), 422, "VALIDATION_ERROR")
    at = f"/api/sessions/{run['sessionId']}"
    readers = [
        await server.signed_in("vera", "viewer"),
        *[
            await server.signed_in(f"reader-{number}", patterns=[pattern])
            for number, pattern in enumerate(("pipeline.run.watch", "pipeline.run.logs", "pipeline.step.logs"))
        ],
    ]
    other = await server.signed_in("other", patterns=["pipeline.definition.*", "agent.*"])
    for path in (at, f"{at}/events"):
        for reader in readers:
            answer(await reader.get(path))
        refusal(await other.get(path), 403, "PERMISSION_DENIED")
    for client in (*readers, other):
        for action in ("close", "interrupt"):
            refusal(await client.post(f"{at}/{action}"), 403, "PERMISSION_DENIED")
    canceller = await server.signed_in("canceller", patterns=["pipeline.run.cancel"])
    answer(await canceller.post(f"{at}/close"))
    answer(await readers[0].get("/api/sessions", params={"type": "pipeline-run"}))
    refusal(await other.get("/api/sessions", params={"type": "pipeline-run"}), 403, "PERMISSION_DENIED")


async def test_a_viewer_sees_runs_and_starts_none(server: Running) -> None:
    pipeline = answer(await server.owner.post(PIPELINES, json=written()), 201)
    run = answer(await server.owner.post(f"{PIPELINES}/{pipeline['id']}/runs", json={}), 201)
    vera = await server.signed_in("vera", "viewer")
    for path in (
        PIPELINES,
        f"{PIPELINES}/{pipeline['id']}",
        "/api/runs",
        f"/api/runs/{run['id']}",
        f"/api/runs/{run['id']}/steps",
        f"/api/runs/{run['id']}/steps/say",
    ):
        answer(await vera.get(path))
    for method, path in (
        ("POST", PIPELINES),
        ("POST", f"{PIPELINES}/validate"),
        ("PUT", f"{PIPELINES}/{pipeline['id']}"),
        ("DELETE", f"{PIPELINES}/{pipeline['id']}"),
        ("POST", f"{PIPELINES}/{pipeline['id']}/runs"),
        *(("POST", f"/api/runs/{run['id']}/{action}") for action in ("cancel", "retry", "resume")),
        ("DELETE", f"/api/runs/{run['id']}"),
    ):
        refusal(await vera.request(method, path, json={}), 403, "PERMISSION_DENIED")
