"""Templates: texts with a name of their own, marked and found again."""

import httpx

from tests.kernel.answers import answer, refusal


async def test_a_template_is_created_changed_marked_and_deleted(api: httpx.AsyncClient) -> None:
    new = {"name": "Bug", "content": "Steps:\n1. ", "category": "issues"}
    made = answer(await api.post("/api/templates", json=new), 201)
    path = f"/api/templates/{made['id']}"
    assert made == made | new | {"favorite": False, "description": None}
    marked = answer(await api.patch(path, json={"favorite": True}))
    assert marked == made | {"favorite": True, "updatedAt": marked["updatedAt"]}
    cleared = answer(await api.patch(path, json={"category": None}))
    assert cleared["category"] is None
    refusal(await api.patch(path, json={"content": ""}), 422, "VALIDATION_ERROR")
    assert answer(await api.delete(path)) == {"id": made["id"], "deleted": True, "cascade": {}}
    refusal(await api.get(path), 404, "RESOURCE_NOT_FOUND")


async def test_templates_are_found_by_name_category_mark_and_text(api: httpx.AsyncClient) -> None:
    for name, category in (("Bug", "issues"), ("Idea", "issues"), ("Letter", "office")):
        new = {"name": name, "content": f"Text of {name}", "category": category}
        made = answer(await api.post("/api/templates", json=new), 201)
    await api.patch(f"/api/templates/{made['id']}", json={"favorite": True})

    async def names(**query: str) -> list[str]:
        return [item["name"] for item in answer(await api.get("/api/templates", params=query))["items"]]

    assert await names() == ["Bug", "Idea", "Letter"]
    assert await names(name="BUG") == ["Bug"]
    assert await names(category="issues", sort="-name") == ["Idea", "Bug"]
    assert await names(favorite="true") == ["Letter"]
    assert await names(filter="text of i") == ["Idea"]


async def test_two_templates_never_share_a_name(api: httpx.AsyncClient) -> None:
    first = answer(await api.post("/api/templates", json={"name": "Bug", "content": "x"}), 201)
    refused = await api.post("/api/templates", json={"name": "bug", "content": "y"})
    assert refusal(refused, 409, "RESOURCE_CONFLICT")["details"]["id"] == first["id"]
