"""Pipelines from the API to their steps and back: the part and its coordinator, in the sandbox of this machine."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import HOLDER_NAME, Kernel
from nexus.kernel.settings import KernelSettings, StepSettings
from nexus.schemas.run import RUN_ENDS
from tests.house.test_arrows import ROOT
from tests.kernel.answers import answer, make_project, refusal
from tests.kernel.holder.programs import end
from tests.kernel.pipelines.documents import written

CONFINEMENT = (sys.executable, "-I", "-S", "-B", str(ROOT / "nexus" / "confinement" / "__main__.py"))
SECONDS = 120


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A kernel that runs steps, and ends what held them."""
    folder = tmp_path / "data"
    settings = KernelSettings(steps=StepSettings(confinement=CONFINEMENT, parallel=4))
    kernel = await Kernel.open(folder, OneShotHost(mode="resident"), settings=settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as client:
        yield client
    await kernel.close()
    await end(HolderPlace(str(folder / HOLDER_NAME)))


def shell(script: str, **fields: Any) -> dict[str, Any]:
    return {"run": ["/bin/sh", "-c", script], **fields}


async def start(api: httpx.AsyncClient, steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Start a run of a pipeline of these steps."""
    pipeline = answer(await api.post("/api/pipelines", json=written(steps=steps, **fields)), 201)
    return answer(await api.post(f"/api/pipelines/{pipeline['id']}/runs"), 201)


async def over(api: httpx.AsyncClient, run: dict[str, Any]) -> dict[str, Any]:
    """Return the run once its row says that it is over: its session may have some words left."""
    async with asyncio.timeout(SECONDS):
        while (told := answer(await api.get(f"/api/runs/{run['id']}")))["status"] not in RUN_ENDS:  # noqa: ASYNC110 -- the row is what is asked for
            await asyncio.sleep(0)
    return told


async def events(api: httpx.AsyncClient, run: dict[str, Any], kind: str = "close") -> list[dict[str, Any]]:
    """Return the events of a run's session, once one of this kind is among them."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(SECONDS):
        while not any(each["event"] == kind for each in found):
            query = {"after": found[-1]["seq"] if found else 0, "wait": 5}
            found += answer(await api.get(f"/api/sessions/{run['sessionId']}/events", params=query))["events"]
    return found


async def test_a_run_goes_from_its_parameters_to_its_artifacts(api: httpx.AsyncClient) -> None:
    steps = {
        "tell": shell('cat "$1/rows.txt"', needs=["make"]),
        "make": shell('echo "$0 rows" > rows.txt', artifacts={"rows": "rows.txt"}),
    }
    steps["tell"]["run"] += ["sh", "${inputs.make}"]
    steps["make"]["run"] += ["${parameters.rows}"]
    run = await start(api, steps, parameters={"rows": {"type": "integer", "default": 7}})
    told = await over(api, run)
    assert (told["status"], told["reason"]) == ("succeeded", None)
    assert [(each["name"], each["status"]) for each in told["steps"]] == [("make", "succeeded"), ("tell", "succeeded")]
    closed = await events(api, run)
    assert closed[-1]["payload"] == closed[-1]["payload"] | {"reason": "succeeded", "exitCode": 0}
    assert "7 rows" in [each["payload"].get("message") for each in closed]
    (artifact,) = answer(await api.get(f"/api/runs/{run['id']}/steps/make"))["artifacts"]
    kept = answer(await api.get(f"/api/data/artifacts/{artifact}"))
    assert (kept["name"], kept["runId"], kept["size"]) == ("rows", run["id"], len("7 rows\n"))


async def test_a_run_that_failed_is_resumed_as_soon_as_it_says_so(api: httpx.AsyncClient, tmp_path: Path) -> None:
    steps = {"fail": shell("exit 3", needs=["work"]), "work": shell("true"), "after": shell("true", needs=["fail"])}
    run = await start(api, steps)
    for attempt in range(1, 4):
        told = await over(api, run)
        assert (told["status"], told["counts"]["failed"], told["counts"]["skipped"]) == ("failed", 1, 1), told["reason"]
        assert {each["name"]: each["attempt"] for each in told["steps"]} == {"work": 1, "fail": attempt, "after": 0}
        answer(await api.post(f"/api/runs/{run['id']}/resume"))
    await over(api, run)
    step = answer(await api.get(f"/api/runs/{run['id']}/steps/fail"))
    assert [(each["number"], each["status"], each["exitCode"]) for each in step["history"]] == [
        (number, "failed", 3) for number in range(1, 5)
    ]


async def test_a_run_is_cancelled_with_what_it_had_at_work_and_tried_again(api: httpx.AsyncClient) -> None:
    run = await start(api, {"wait": shell("echo ready; sleep 600"), "later": shell("true", needs=["wait"])})
    path = f"/api/runs/{run['id']}"
    await ready(api, run)
    refusal(await api.delete(path), 409, "RESOURCE_CONFLICT")
    assert answer(await api.post(f"{path}/cancel"))["status"] == "cancelling"
    told = await over(api, run)
    assert (told["status"], {each["status"] for each in told["steps"]}) == ("cancelled", {"cancelled"})
    again = answer(await api.post(f"{path}/retry"), 201)
    await ready(api, again)
    # A session of a run that is closed is a run that is cancelled.
    answer(await api.post(f"/api/sessions/{again['sessionId']}/close"))
    assert (await over(api, again))["status"] == "cancelled"
    answer(await api.post(f"{path}/resume"))
    resumed = answer(await api.get(path))
    await ready(api, resumed)
    answer(await api.post(f"{path}/cancel"))
    await over(api, resumed)
    # What it printed goes with it, however often it was resumed.
    for each in (run, again):
        assert answer(await api.delete(f"/api/runs/{each['id']}"))["cascade"]["steps"] == 2
    for each in (run, again, resumed):
        refusal(await api.get(f"/api/sessions/{each['sessionId']}"), 404, "SESSION_NOT_FOUND")
    assert answer(await api.get("/api/sessions", params={"includeClosed": "true"}))["items"] == []


async def ready(api: httpx.AsyncClient, run: dict[str, Any]) -> None:
    """Return when a step of the run has printed."""
    seen = 0
    async with asyncio.timeout(SECONDS):
        while True:
            query = {"after": seen, "wait": 5}
            found = answer(await api.get(f"/api/sessions/{run['sessionId']}/events", params=query))["events"]
            if any(each["payload"].get("message") == "ready" for each in found):
                return
            seen = found[-1]["seq"] if found else seen


async def test_what_is_under_way_in_a_project_ends_with_it(api: httpx.AsyncClient) -> None:
    project = await make_project(api)
    run = await start(api, {"wait": shell("echo ready; sleep 600")}, project=project["id"])
    await ready(api, run)
    gone = answer(await api.delete(f"/api/projects/{project['id']}"))
    assert (gone["cascade"]["pipelines"], gone["cascade"]["runs"]) == (1, 1)
    refusal(await api.get(f"/api/runs/{run['id']}"), 404, "RESOURCE_NOT_FOUND")
    refusal(await api.get(f"/api/sessions/{run['sessionId']}/events"), 404, "SESSION_NOT_FOUND")
    assert not any(each["state"] == "running" for each in answer(await api.get("/api/debug/processes"))["items"])
