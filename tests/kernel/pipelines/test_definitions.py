"""Pipelines as documents over the API: kept once they are right, changed under their revision, found again."""

from typing import Any

import httpx
import pytest

from nexus.kernel.pipelines.definitions import MOST_BYTES
from tests.kernel.answers import answer, make_project, refusal
from tests.kernel.pipelines.documents import written

PIPELINES = "/api/pipelines"


async def make_pipeline(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    return answer(await api.post(PIPELINES, json=written(**fields)), 201)


STEPS = {
    "load": {"run": ["load", "${inputs.extract}"], "needs": ["extract"], "secrets": ["KEY"]},
    "extract": {"run": ["extract", "${parameters.rows}"]},
}


async def test_a_document_is_kept_changed_under_its_revision_and_deleted(api: httpx.AsyncClient) -> None:
    fields = {"steps": STEPS, "parameters": {"rows": {"type": "integer", "default": 10}}, "description": "Daily."}
    made = await make_pipeline(api, **fields)
    path = f"{PIPELINES}/{made['id']}"
    assert (made["name"], made["description"], made["revision"], made["stepCount"]) == ("sales", "Daily.", 1, 2)
    assert made["order"] == ["extract", "load"]
    # As it was written, in its order, with what was left out.
    assert list(made["document"]["steps"]) == ["load", "extract"]
    assert made["document"]["steps"]["load"]["retries"]["attempts"] == 1
    assert answer(await api.get(path)) == made

    newer = {"document": written(name="Sales 2"), "revision": 1}
    changed = answer(await api.put(path, json=newer))
    assert (changed["name"], changed["revision"], changed["order"], changed["description"]) == (
        *("Sales 2", 2, ["say"]),
        None,
    )
    refused = refusal(await api.put(path, json=newer), 409, "RESOURCE_CONFLICT")
    assert refused["details"]["revision"] == 2
    assert answer(await api.put(path, json={"document": written()}))["revision"] == 3
    assert answer(await api.delete(path)) == {"id": made["id"], "deleted": True, "cascade": {"runs": 0}}
    for refused in (await api.get(path), await api.put(path, json=newer), await api.delete(path)):
        refusal(refused, 404, "RESOURCE_NOT_FOUND")


async def test_a_document_with_a_fault_is_told_where_and_never_kept(api: httpx.AsyncClient) -> None:
    kept = await make_pipeline(api, name="kept")
    circle = {"a": {"run": ["x"], "needs": ["b"]}, "b": {"run": ["x"], "needs": ["a"]}}
    for fields, field in (
        ({"steps": circle}, "steps.a.needs"),
        ({"steps": {"a": {"run": ["${project}"]}}}, "steps.a.run.0"),
        ({"steps": {}}, "steps"),
        ({"steps": {"a": {"run": ["x"], "memory": 1}}}, "steps.a.memory"),
        ({"steps": {"a": {"run": ["x"], "artifacts": {"a": "a\nb"}}}}, "steps.a.artifacts.a"),
        ({"steps": {"a": {"run": ["x", *["€" * 9000] * 39]}}}, "steps.a.run"),
        ({"steps": {f"s{n}": {"run": ["x"], "environment": {"A": "ä" * 9000}} for n in range(100)}}, "steps"),
    ):
        body = written(**fields)
        for refused in (
            await api.post(f"{PIPELINES}/validate", json=body),
            await api.post(PIPELINES, json=body),
            await api.put(f"{PIPELINES}/{kept['id']}", json={"document": body}),
        ):
            told = refusal(refused, 422, "VALIDATION_ERROR")["details"]
            assert told["field"].removeprefix("document.") == field
    assert [each["name"] for each in answer(await api.get(PIPELINES))["items"]] == ["kept"]
    assert MOST_BYTES < 100 * 18_000


async def test_what_is_valid_is_told_its_waves_and_changes_nothing(api: httpx.AsyncClient) -> None:
    fields = {"steps": STEPS, "parameters": {"rows": {}}, "datasets": {"sales": None}}
    told = answer(await api.post(f"{PIPELINES}/validate", json=written(**fields)))
    assert told == {
        "name": "sales",
        "valid": True,
        "stepCount": 2,
        "waves": [["extract"], ["load"]],
        "secrets": ["KEY"],
        "datasets": ["sales"],
    }
    assert answer(await api.get(PIPELINES))["items"] == []
    missing = await api.post(f"{PIPELINES}/validate", json=written(project="nothing"))
    assert refusal(missing, 404, "RESOURCE_NOT_FOUND")["details"]["field"] == "project"


async def test_two_pipelines_never_share_a_name(api: httpx.AsyncClient) -> None:
    first, other = await make_pipeline(api, name="Straße"), await make_pipeline(api, name="other")
    for refused in (
        await api.post(PIPELINES, json=written(name="STRASSE")),
        await api.put(f"{PIPELINES}/{other['id']}", json={"document": written(name="strasse")}),
    ):
        assert refusal(refused, 409, "RESOURCE_CONFLICT")["details"]["id"] == first["id"]
    renamed = await api.put(f"{PIPELINES}/{first['id']}", json={"document": written(name="STRASSE")})
    assert answer(renamed)["name"] == "STRASSE"


async def test_a_pipeline_goes_with_its_project(api: httpx.AsyncClient) -> None:
    project = await make_project(api, "Demo")
    by_id = await make_pipeline(api, name="a", project=project["id"])
    by_name = await make_pipeline(api, name="b", project="DEMO")
    await make_pipeline(api, name="c")
    assert by_id["projectId"] == by_name["projectId"] == project["id"]
    assert by_name["document"]["project"] == "DEMO"
    refusal(await api.post(PIPELINES, json=written(name="d", project="prj_none")), 404, "RESOURCE_NOT_FOUND")
    of_project = answer(await api.get(PIPELINES, params={"projectId": project["id"], "sort": "-name"}))
    assert [each["name"] for each in of_project["items"]] == ["b", "a"]
    gone = answer(await api.delete(f"/api/projects/{project['id']}"))
    assert (gone["cascade"]["pipelines"], gone["cascade"]["runs"]) == (2, 0)
    assert [each["name"] for each in answer(await api.get(PIPELINES))["items"]] == ["c"]


async def test_pipelines_are_listed_by_pages_found_by_name_and_text(api: httpx.AsyncClient) -> None:
    for number in range(5):
        await make_pipeline(api, name=f"p{number}", description=f"the number {number}" if number else None)
    first = answer(await api.get(PIPELINES, params={"limit": 2}))
    assert first["truncated"]
    assert "document" not in first["items"][0]
    rest = answer(await api.get(PIPELINES, params={"limit": 10, "cursor": first["nextCursor"]}))
    assert [each["name"] for each in first["items"] + rest["items"]] == [f"p{number}" for number in range(5)]
    for query, names in (
        ({"name": "P3"}, ["p3"]),
        ({"filter": "NUMBER 2"}, ["p2"]),
        ({"sort": "-description", "limit": "1"}, ["p4"]),
        ({"name": "none"}, []),
    ):
        found = answer(await api.get(PIPELINES, params=query))["items"]
        assert [each["name"] for each in found] == names
    for query in ({"sort": "document"}, {"limit": "0"}, {"limit": "1001"}, {"cursor": "x"}):
        refusal(await api.get(PIPELINES, params=query), 422, "VALIDATION_ERROR")


@pytest.mark.parametrize("revision", [0, -1, 2**63, 10**400, 1.5])
async def test_a_revision_is_a_number_that_a_database_takes(api: httpx.AsyncClient, revision: float) -> None:
    made = await make_pipeline(api)
    change = {"document": written(), "revision": revision}
    refusal(await api.put(f"{PIPELINES}/{made['id']}", json=change), 422, "VALIDATION_ERROR")
