"""Runs over the API: pinned to what they began with, begun once, cancelled, resumed, retried, deleted."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update

from nexus.kernel.kernel import Kernel
from nexus.kernel.pipelines import starting
from nexus.kernel.pipelines.part import Pipelines
from nexus.kernel.store.rows import now
from nexus.kernel.store.schema import run_attempts, run_steps, runs
from tests.kernel.answers import answer, make_project, refusal
from tests.kernel.data.conftest import begin, complete, send
from tests.kernel.pipelines.documents import written

STEPS = {
    "extract": {"run": ["extract", "${parameters.rows}"], "artifacts": {"rows": "rows.csv"}},
    "load": {"run": ["load"], "needs": ["extract"], "retries": {"attempts": 3}, "secrets": ["KEY"]},
    "tell": {"run": ["tell"], "needs": ["load"]},
}
PARAMETERS = {"rows": {"type": "integer", "default": 10}}


class Resting:
    """A coordinator that has nothing run and remembers what it was told: runs stay as a test makes them."""

    def __init__(self) -> None:
        self.kernel_id = "krn_resting"
        self.begun: list[tuple[str, str, str | None]] = []
        self.stirred: list[str] = []
        self.forgotten: list[str] = []

    async def begin(self, run_id: str, session_id: str, project_id: str | None) -> None:
        self.begun.append((run_id, session_id, project_id))

    async def stir(self, run_id: str) -> None:
        self.stirred.append(run_id)

    async def forget(self, run_id: str) -> None:
        self.forgotten.append(run_id)

    async def close(self) -> None: ...


@pytest.fixture
def resting(kernel: Kernel) -> Resting:
    part = next(part for part in kernel._parts if isinstance(part, Pipelines))
    part.coordination = resting = Resting()  # type: ignore[assignment]
    return resting


async def make_pipeline(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    document = written(**{"steps": STEPS, "parameters": PARAMETERS, **fields})
    return answer(await api.post("/api/pipelines", json=document), 201)


async def start(api: httpx.AsyncClient, pipeline: dict[str, Any], **told: Any) -> dict[str, Any]:
    return answer(await api.post(f"/api/pipelines/{pipeline['id']}/runs", json=told), 201)


async def push(api: httpx.AsyncClient, content: bytes, name: str, kind: str = "dataset") -> dict[str, Any]:
    upload = await begin(api, content, name, kind=kind)
    await send(api, content, upload["parts"])
    return answer(await complete(api, upload, content))


async def end(kernel: Kernel, run_id: str, status: str, *made: str, **steps: str) -> None:
    """Have a run be over, with these steps ended after one attempt each, as a coordinator leaves it.

    `made` are the ids of the artifacts of the first.
    """

    def work(connection: Any) -> None:
        connection.execute(update(runs).where(runs.c.id == run_id).values(status=status, finished_at=now(), fence=1))
        for name, ended in steps.items():
            one = (run_steps.c.run_id == run_id, run_steps.c.name == name)
            attempt = {"run_id": run_id, "step": name, "number": 1, "fence": 1, "status": ended}
            if ended != "skipped":
                kept = {"artifacts": list(made) if name == "extract" else None, "started_at": now()}
                connection.execute(insert(run_attempts).values(**attempt, **kept))
            connection.execute(
                update(run_steps).where(*one).values(status=ended, attempt=int(ended != "skipped"), finished_at=now())
            )

    await kernel._store.write(work)


async def rows_of(kernel: Kernel, table: Any) -> list[Any]:
    return await kernel._store.read(lambda connection: connection.execute(select(table)).all())


async def test_a_run_is_queued_with_all_that_it_began_with(api: httpx.AsyncClient, resting: Resting) -> None:
    project = await make_project(api)
    pipeline = await make_pipeline(api, project=project["id"])
    run = await start(api, pipeline, parameters={"rows": "20"})
    assert run["status"] == "queued"
    assert (run["pipelineId"], run["pipelineName"], run["revision"]) == (pipeline["id"], "sales", 1)
    assert (run["parameters"], run["datasets"], run["startedBy"]) == ({"rows": 20}, {}, "owner")
    assert run["projectId"] == project["id"]
    assert resting.begun == [(run["id"], run["sessionId"], project["id"])]
    assert [(each["name"], each["status"], each["attempt"]) for each in run["steps"]] == [
        ("extract", "waiting", 0),
        ("load", "waiting", 0),
        ("tell", "waiting", 0),
    ]
    assert run["steps"][1] == run["steps"][1] | {"needs": ["extract"], "attempts": 3}
    assert run["counts"]["waiting"] == 3
    # A run does not change with its pipeline.
    answer(await api.put(f"/api/pipelines/{pipeline['id']}", json={"document": written(name="new")}))
    again = answer(await api.get(f"/api/runs/{run['id']}"))
    assert again == run
    assert (await start(api, pipeline))["pipelineName"] == "new"


async def test_a_run_is_told_nothing_and_takes_the_defaults(api: httpx.AsyncClient, resting: Resting) -> None:
    pipeline = await make_pipeline(api)
    run = answer(await api.post(f"/api/pipelines/{pipeline['id']}/runs"), 201)
    assert run["parameters"] == {"rows": 10}
    for told, field in (
        ({"parameters": {"rows": "many"}}, "parameters.rows"),
        ({"parameters": {"row": 1}}, "parameters.row"),
        ({"parameters": {"rows": 2**63}}, "parameters.rows"),
        ({"parameters": {"rows": 10**400}}, "parameters.rows"),
        ({"datasets": {"sales": "x"}}, "datasets.sales"),
    ):
        refused = await api.post(f"/api/pipelines/{pipeline['id']}/runs", json=told)
        assert refusal(refused, 422, "VALIDATION_ERROR")["details"]["field"].startswith(field)
    refusal(await api.post("/api/pipelines/pip_none/runs", json={}), 404, "RESOURCE_NOT_FOUND")
    assert len(resting.begun) == 1


async def test_what_no_program_can_be_told_is_refused_when_the_run_is_started(
    api: httpx.AsyncClient, resting: Resting
) -> None:
    """One variable takes 128 KiB, and all of them together not much more than a mebibyte."""
    most = "ä" * 10_000
    for run, environment, taken, refused, field in (
        (["x"], {}, 6, 7, "parameters"),
        (["x", "${parameters.p0}" * 7], {}, 0, 1, "steps.a.run.1"),
        (["x", *["${parameters.p0}" * 5] * 12], {}, 0, 1, "steps.a.run"),
        (["x"], {"A": "${parameters.p0}" * 7}, 0, 1, "steps.a.environment.A"),
    ):
        fields = {"name": field, "steps": {"a": {"run": run, "environment": environment}}}
        pipeline = await make_pipeline(api, **fields, parameters={f"p{n}": {"default": ""} for n in range(7)})
        path = f"/api/pipelines/{pipeline['id']}/runs"
        answer(await api.post(path, json={"parameters": {f"p{n}": most for n in range(taken)}}), 201)
        told = {"parameters": {f"p{n}": most for n in range(refused)}}
        assert refusal(await api.post(path, json=told), 422, "VALIDATION_ERROR")["details"]["field"] == field
    assert len(resting.begun) == 4


async def test_a_kernel_takes_so_many_runs_at_once_and_more_when_one_is_over(
    api: httpx.AsyncClient, kernel: Kernel, resting: Resting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "MOST_UNDER_WAY", 2)
    pipeline = await make_pipeline(api)
    over, first = [(await start(api, pipeline))["id"] for _ in range(2)]
    await end(kernel, over, "failed", extract="failed")
    second = (await start(api, pipeline))["id"]
    for path in (f"/api/pipelines/{pipeline['id']}/runs", f"/api/runs/{over}/retry", f"/api/runs/{over}/resume"):
        refused = refusal(await api.post(path), 503, "RESOURCE_UNAVAILABLE")["details"]
        assert (refused["retryable"], refused["capacity"]) == (True, 2)
    await end(kernel, first, "succeeded", extract="succeeded")
    assert answer(await api.post(f"/api/runs/{over}/resume"))["status"] == "queued"
    assert second in [run for run, _, _ in resting.begun]


async def test_under_an_idempotency_key_one_run_is_started(api: httpx.AsyncClient, resting: Resting) -> None:
    pipeline = await make_pipeline(api)
    path, key = f"/api/pipelines/{pipeline['id']}/runs", {"idempotency-key": "once"}
    answers = await asyncio.gather(*(api.post(path, json={}, headers=key) for _ in range(8)))
    assert len({answer(each, 201)["id"] for each in answers}) == 1
    assert len(answer(await api.get("/api/runs"))["items"]) == 1
    assert len(resting.begun) == 1


async def test_data_sets_are_pinned_by_id_or_name_to_their_bytes(api: httpx.AsyncClient, resting: Resting) -> None:
    sales, other = await push(api, b"a,b\n", "sales"), await push(api, b"other", "other")
    steps = {"read": {"run": ["read", "${datasets.sales}"], "datasets": ["sales"]}}
    pipeline = await make_pipeline(api, steps=steps, datasets={"sales": "SALES", "more": None})
    run = await start(api, pipeline, datasets={"more": other["id"]})
    assert {name: each["id"] for name, each in run["datasets"].items()} == {"sales": sales["id"], "more": other["id"]}
    assert run["datasets"]["sales"]["sha256"] == sales["sha256"]
    assert (await start(api, pipeline, datasets={"sales": "other", "more": "sales"}))["datasets"]["sales"] == (
        run["datasets"]["more"]
    )
    path = f"/api/pipelines/{pipeline['id']}/runs"
    missing = refusal(await api.post(path, json={}), 422, "VALIDATION_ERROR")["details"]
    assert (missing["field"], missing["hint"]) == ("datasets.more", "--dataset more=…")
    unknown = refusal(await api.post(path, json={"datasets": {"more": "nothing"}}), 404, "RESOURCE_NOT_FOUND")
    assert unknown["details"]["field"] == "datasets.more"
    refusal(await api.post(path, json={"datasets": {"more": "sales", "mor": "sales"}}), 422, "VALIDATION_ERROR")
    # What replaces a data set is another one: the run has the bytes that it began with.
    await api.delete(f"/api/data/datasets/{sales['id']}")
    assert answer(await api.get(f"/api/runs/{run['id']}"))["datasets"] == run["datasets"]


async def test_a_run_is_cancelled_once_and_one_that_is_over_stays(
    api: httpx.AsyncClient, kernel: Kernel, resting: Resting
) -> None:
    run = await start(api, await make_pipeline(api))
    path = f"/api/runs/{run['id']}"
    for _ in range(2):
        assert answer(await api.post(f"{path}/cancel"))["status"] == "cancelling"
    assert resting.stirred == [run["id"]] * 2
    for refused in (await api.post(f"{path}/retry"), await api.post(f"{path}/resume"), await api.delete(path)):
        assert refusal(refused, 409, "RESOURCE_CONFLICT")["details"]["status"] == "cancelling"
    await end(kernel, run["id"], "cancelled")
    refusal(await api.post(f"{path}/cancel"), 409, "RESOURCE_CONFLICT")
    for method, at in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry"), ("POST", "/resume"), ("DELETE", "")):
        refusal(await api.request(method, f"/api/runs/run_none{at}"), 404, "RESOURCE_NOT_FOUND")


async def test_a_run_is_resumed_where_it_failed(api: httpx.AsyncClient, kernel: Kernel, resting: Resting) -> None:
    run = await start(api, await make_pipeline(api))
    await end(kernel, run["id"], "failed", extract="succeeded", load="failed", tell="skipped")
    resumed = answer(await api.post(f"/api/runs/{run['id']}/resume"))
    assert (resumed["id"], resumed["status"], resumed["finishedAt"]) == (run["id"], "queued", None)
    assert resumed["sessionId"] != run["sessionId"]
    assert resting.begun[-1] == (run["id"], resumed["sessionId"], None)
    extract, load, tell = resumed["steps"]
    assert [each["status"] for each in resumed["steps"]] == ["succeeded", "waiting", "waiting"]
    # It may be tried as often as if it had never been.
    assert (load["attempt"], load["attempts"], tell["attempts"]) == (1, 4, 1)
    assert extract["finishedAt"] is not None
    (row,) = await rows_of(kernel, runs)
    assert row.fence == 2
    refusal(await api.post(f"/api/runs/{run['id']}/resume"), 409, "RESOURCE_CONFLICT")
    await end(kernel, run["id"], "succeeded")
    hint = refusal(await api.post(f"/api/runs/{run['id']}/resume"), 409, "RESOURCE_CONFLICT")["details"]["hint"]
    assert hint == f"nexus pipeline run retry {run['id']}"


async def test_what_another_kernel_has_of_a_run_is_not_resumed_without_it(
    api: httpx.AsyncClient, kernel: Kernel, resting: Resting
) -> None:
    run = await start(api, await make_pipeline(api))
    await end(kernel, run["id"], "failed", extract="succeeded", load="failed")
    resting.kernel_id = "krn_another"
    refusal(await api.post(f"/api/runs/{run['id']}/resume"), 409, "RESOURCE_CONFLICT")
    retried = answer(await api.post(f"/api/runs/{run['id']}/retry"), 201)
    await end(kernel, retried["id"], "failed", extract="failed")
    resting.kernel_id = "krn_third"
    assert answer(await api.post(f"/api/runs/{retried['id']}/resume"))["status"] == "queued"


async def test_a_retry_is_another_run_of_the_same(api: httpx.AsyncClient, kernel: Kernel, resting: Resting) -> None:
    pipeline = await make_pipeline(api)
    run = await start(api, pipeline, parameters={"rows": 7})
    answer(await api.put(f"/api/pipelines/{pipeline['id']}", json={"document": written()}))
    await end(kernel, run["id"], "succeeded", extract="succeeded", load="succeeded", tell="succeeded")
    again = answer(await api.post(f"/api/runs/{run['id']}/retry"), 201)
    assert again["retryOf"] == run["id"] != again["id"]
    assert (again["status"], again["parameters"], again["revision"]) == ("queued", {"rows": 7}, 1)
    assert [(each["name"], each["attempt"]) for each in again["steps"]] == [("extract", 0), ("load", 0), ("tell", 0)]
    assert resting.begun[-1][:2] == (again["id"], again["sessionId"])


async def test_steps_are_listed_and_viewed_with_their_attempts_and_artifacts(
    api: httpx.AsyncClient, kernel: Kernel, resting: Resting
) -> None:
    run = await start(api, await make_pipeline(api))
    made = await push(api, b"rows", "rows", "artifact")
    # Another one was deleted since.
    await end(kernel, run["id"], "failed", "art_gone", made["id"], extract="succeeded", load="failed", tell="skipped")
    steps = f"/api/runs/{run['id']}/steps"
    first = answer(await api.get(steps, params={"limit": 2}))
    rest = answer(await api.get(steps, params={"cursor": first["nextCursor"]}))
    assert [each["name"] for each in first["items"] + rest["items"]] == ["extract", "load", "tell"]
    for query, names in (
        ({"status": "failed"}, ["load"]),
        ({"filter": "LO"}, ["load"]),
        ({"sort": "-name", "limit": "1"}, ["tell"]),
    ):
        assert [each["name"] for each in answer(await api.get(steps, params=query))["items"]] == names
    extract = answer(await api.get(f"{steps}/extract"))
    assert (extract["runId"], extract["run"]) == (run["id"], ["extract", "${parameters.rows}"])
    assert [(each["number"], each["status"]) for each in extract["history"]] == [(1, "succeeded")]
    assert extract["artifacts"] == [made["id"]]
    load = answer(await api.get(f"{steps}/load"))
    assert (load["secrets"], load["attempts"], load["artifacts"]) == (["KEY"], 3, [])
    refusal(await api.get(f"{steps}/nothing"), 404, "RESOURCE_NOT_FOUND")
    refusal(await api.get("/api/runs/run_none/steps"), 404, "RESOURCE_NOT_FOUND")
    for query in ({"status": "x"}, {"sort": "spent"}, {"limit": "0"}):
        refusal(await api.get(steps, params=query), 422, "VALIDATION_ERROR")


async def test_runs_are_listed_the_newest_first(api: httpx.AsyncClient, kernel: Kernel, resting: Resting) -> None:
    one, two = await make_pipeline(api, name="one"), await make_pipeline(api, name="two")
    made = [await start(api, pipeline) for pipeline in (one, two, one)]
    await end(kernel, made[0]["id"], "failed")

    async def ids(**query: Any) -> list[str]:
        return [each["id"] for each in answer(await api.get("/api/runs", params=query))["items"]]

    newest = [each["id"] for each in reversed(made)]
    assert await ids() == newest
    assert await ids(pipelineId=one["id"]) == [newest[0], newest[2]]
    assert await ids(status="failed") == [made[0]["id"]]
    assert await ids(filter="TWO") == [made[1]["id"]]
    assert await ids(sort="finishedAt", limit=2, pipelineId=one["id"]) == newest[::2]
    page = answer(await api.get("/api/runs", params={"limit": 2}))
    assert await ids(cursor=page["nextCursor"]) == newest[2:]
    assert "document" not in page["items"][0]
    for query in ({"status": "x"}, {"sort": "fence"}, {"pipelineId": "x" * 201}, {"limit": 10**30}):
        refusal(await api.get("/api/runs", params=query), 422, "VALIDATION_ERROR")


async def test_runs_go_with_their_pipeline_and_their_project_and_not_while_under_way(
    api: httpx.AsyncClient, kernel: Kernel, resting: Resting
) -> None:
    project = await make_project(api)
    pipeline = await make_pipeline(api, project=project["id"])
    run, other = await start(api, pipeline), await start(api, pipeline)
    refusal(await api.delete(f"/api/runs/{run['id']}"), 409, "RESOURCE_CONFLICT")
    refusal(await api.delete(f"/api/pipelines/{pipeline['id']}"), 409, "RESOURCE_CONFLICT")
    await end(kernel, run["id"], "failed", extract="failed")
    gone = answer(await api.delete(f"/api/runs/{run['id']}"))
    assert gone["cascade"] == {"steps": 3, "attempts": 1}
    # A project goes with what is under way in it.
    gone = answer(await api.delete(f"/api/projects/{project['id']}"))
    assert (gone["cascade"]["pipelines"], gone["cascade"]["runs"]) == (1, 1)
    last = await start(api, await make_pipeline(api, name="last"))
    await end(kernel, last["id"], "cancelled")
    assert answer(await api.delete(f"/api/pipelines/{last['pipelineId']}"))["cascade"] == {"runs": 1}
    assert resting.forgotten == [run["id"], other["id"], last["id"]]
    for table in (runs, run_steps, run_attempts):
        assert await rows_of(kernel, table) == []
