"""Projects over the API: what is created is found, changed, listed by pages and deleted whole."""

import asyncio
import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from tests.kernel.answers import make_project, refusal


def folder_of(project: dict[str, Any]) -> Path:
    return Path(project["contentPath"])


async def test_a_created_project_is_found_with_a_folder_of_its_own(api: httpx.AsyncClient, data_folder: Path) -> None:
    made = await make_project(api, "Demo", category="tools", description="A demo")

    found = (await api.get(f"/api/projects/{made['id']}")).json()

    assert found == made
    assert found["name"] == "Demo"
    assert found["category"] == "tools"
    assert found["status"] == "active"
    assert found["theme"] == {}
    assert found["createdAt"].endswith("Z")
    folder = folder_of(found)
    assert folder.parent == data_folder / "projects"
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_two_names_that_differ_in_case_alone_are_one(api: httpx.AsyncClient) -> None:
    first = await make_project(api, "Größe")
    error = refusal(await api.post("/api/projects", json={"name": "GRÖSSE"}), 409, "RESOURCE_CONFLICT")
    assert error["details"]["id"] == first["id"]

    other = await make_project(api, "Other")
    refusal(await api.patch(f"/api/projects/{other['id']}", json={"name": "größe"}), 409, "RESOURCE_CONFLICT")
    renamed = await api.patch(f"/api/projects/{first['id']}", json={"name": "GRÖßE"})
    assert renamed.json()["name"] == "GRÖßE"


async def test_one_name_created_many_times_at_once_exists_once(api: httpx.AsyncClient, data_folder: Path) -> None:
    answers = await asyncio.gather(*(api.post("/api/projects", json={"name": "Race"}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert len(os.listdir(data_folder / "projects")) == 1


async def test_a_change_keeps_what_it_leaves_out_and_a_null_clears(api: httpx.AsyncClient) -> None:
    made = await make_project(api, "Demo", category="tools", description="text")
    changes = {"status": "paused", "description": None, "theme": {"mode": "dark"}}
    changed = (await api.patch(f"/api/projects/{made['id']}", json=changes)).json()
    assert changed == made | changes | {"updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] > made["updatedAt"]
    error = refusal(await api.put(f"/api/projects/{made['id']}", json={"name": None}), 422, "VALIDATION_ERROR")
    assert error["details"]["field"] == "name"


async def test_a_list_filters_names_categories_and_descriptions_in_any_alphabet(api: httpx.AsyncClient) -> None:
    await make_project(api, "Ünder")
    await make_project(api, "plain", description="50% ÜNDER")
    await make_project(api, "none", category="50x")

    async def names(text: str) -> list[str]:
        page = (await api.get("/api/projects", params={"filter": text})).json()
        return [item["name"] for item in page["items"]]

    assert await names("ünder") == ["plain", "Ünder"]
    assert await names("50%") == ["plain"]
    assert await names("_") == []


async def test_hidden_projects_are_listed_when_asked_for(api: httpx.AsyncClient) -> None:
    await make_project(api, "seen")
    hidden = await make_project(api, "unseen", hidden=True)
    assert [item["name"] for item in (await api.get("/api/projects")).json()["items"]] == ["seen"]
    everything = (await api.get("/api/projects?includeHidden=true")).json()["items"]
    assert [item["name"] for item in everything] == ["seen", "unseen"]
    by_name = (await api.get("/api/projects", params={"name": "UNSEEN"})).json()["items"]
    assert by_name == [hidden]


@pytest.mark.parametrize("sort", ["name", "-name", "category", "-category", "createdAt", "-updatedAt", "contentPath"])
async def test_pages_hold_every_project_once_in_the_order_asked_for(api: httpx.AsyncClient, sort: str) -> None:
    for number in range(7):
        await make_project(api, f"p{number}", category="even" if number % 2 == 0 else None)
    whole = (await api.get("/api/projects", params={"sort": sort})).json()
    assert not whole["truncated"]
    assert whole["nextCursor"] is None

    paged: list[dict[str, Any]] = []
    query = {"sort": sort, "limit": "3"}
    while True:
        page = (await api.get("/api/projects", params=query)).json()
        paged += page["items"]
        assert page["truncated"] == (page["nextCursor"] is not None)
        if not page["truncated"]:
            break
        query["cursor"] = page["nextCursor"]

    assert paged == whole["items"]
    field = sort.removeprefix("-")
    keys = [item[field] or "" for item in paged]
    assert keys == sorted(keys, reverse=sort.startswith("-"))


async def test_a_sort_or_cursor_that_cannot_be_is_refused(api: httpx.AsyncClient) -> None:
    error = refusal(await api.get("/api/projects?sort=size"), 422, "VALIDATION_ERROR")
    assert "createdAt" in error["details"]["available"]
    await make_project(api, "a")
    await make_project(api, "b")
    cursor = (await api.get("/api/projects?limit=1")).json()["nextCursor"]
    for place in ([10**30, "x"], ["x", 2**63], ["\ud800", "x"], [None, "x"], ["x"], [1.5, "x"]):
        text = base64.urlsafe_b64encode(json.dumps(["name", *place]).encode()).rstrip(b"=").decode()
        refusal(await api.get("/api/projects", params={"cursor": text}), 422, "VALIDATION_ERROR")
    for query in ({"cursor": "?"}, {"cursor": "bm8"}, {"cursor": cursor, "sort": "-name"}, {"cursor": "é" * 9000}):
        error = refusal(await api.get("/api/projects", params=query), 422, "VALIDATION_ERROR")
        assert error["details"]["field"] == "cursor"
    for limit in ("0", "1001", "many"):
        error = refusal(await api.get("/api/projects", params={"limit": limit}), 422, "VALIDATION_ERROR")
        assert error["details"]["field"] == "limit"


async def test_a_content_path_is_the_users_and_stays_when_the_project_goes(
    api: httpx.AsyncClient, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept")
    made = await make_project(api, "Mine", contentPath=f"{folder}/")
    assert made["contentPath"] == str(folder)
    assert (await api.delete(f"/api/projects/{made['id']}")).status_code == 200
    assert (folder / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize("path", ["relative/folder", "/nowhere/at/all", "/etc/passwd", "", "/tmp\x00"])
async def test_a_content_path_that_is_no_absolute_folder_is_refused(api: httpx.AsyncClient, path: str) -> None:
    error = refusal(await api.post("/api/projects", json={"name": "X", "contentPath": path}), 422, "VALIDATION_ERROR")
    assert error["details"]["field"] == "contentPath"


async def test_a_deleted_project_takes_its_folder_and_is_found_no_more(
    api: httpx.AsyncClient, data_folder: Path
) -> None:
    made = await make_project(api, "Gone")
    (folder_of(made) / "file").write_text("x")
    deleted = (await api.delete(f"/api/projects/{made['id']}")).json()
    assert deleted == {
        "id": made["id"],
        "deleted": True,
        "cascade": {"roadmaps": 0, "chats": 0, "messages": 0, "pipelines": 0, "runs": 0},
    }
    assert os.listdir(data_folder / "projects") == []
    for call in (api.get, api.delete):
        error = refusal(await call(f"/api/projects/{made['id']}"), 404, "RESOURCE_NOT_FOUND")
        assert error["details"]["resource"] == "project"
    refusal(await api.patch(f"/api/projects/{made['id']}", json={}), 404, "RESOURCE_NOT_FOUND")


async def test_projects_outlive_the_kernel(data_folder: Path) -> None:
    first = await Kernel.open(data_folder, OneShotHost())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(first.app), base_url="http://kernel") as api:
        made = await make_project(api, "Lasting")
    await first.close()
    again = await Kernel.open(data_folder, OneShotHost())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(again.app), base_url="http://kernel") as api:
        assert (await api.get(f"/api/projects/{made['id']}")).json() == made
        assert (await api.get(f"/api/projects/{made['id']}/details")).json()["roadmapCount"] == 0
    await again.close()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "a repository"
    git = ["git", "-C", str(path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    (path / "README").write_text("hello\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    return path


@pytest.mark.parametrize("scheme", ["", "file://"])
async def test_a_repository_is_cloned_into_the_project(api: httpx.AsyncClient, repository: Path, scheme: str) -> None:
    made = await make_project(api, "Cloned", gitUrl=f"{scheme}{repository}")
    assert (folder_of(made) / "README").read_text() == "hello\n"
    assert made["gitUrl"] == f"{scheme}{repository}"


async def test_a_repository_is_cloned_into_a_new_or_empty_folder_only(
    api: httpx.AsyncClient, repository: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for name, folder in (("a", empty), ("b", tmp_path / "new")):
        await make_project(api, name, gitUrl=str(repository), contentPath=str(folder))
        assert (folder / "README").read_text() == "hello\n"
    refused = await api.post("/api/projects", json={"name": "c", "gitUrl": str(repository), "contentPath": str(empty)})
    assert refusal(refused, 422, "VALIDATION_ERROR")["details"]["field"] == "contentPath"


async def test_a_clone_that_fails_leaves_nothing(api: httpx.AsyncClient, data_folder: Path, tmp_path: Path) -> None:
    answer = await api.post("/api/projects", json={"name": "X", "gitUrl": str(tmp_path / "none")})
    error = refusal(answer, 424, "GIT_FAILED")
    assert "none" in error["message"]
    assert os.listdir(data_folder / "projects") == []
    assert (await api.get("/api/projects")).json()["items"] == []


@pytest.mark.parametrize(
    "address",
    [
        "ext::sh -c touch% /tmp/x",
        "--upload-pack=touch /tmp/x",
        "ftp://host/x",
        "http://host/x",
        "relative/path",
        "ssh://-oProxyCommand=x/y",
        "https://",
        "ssh://user:s3cret@host/x",
        "/a\nb",
    ],
)
async def test_an_address_that_could_run_something_else_is_refused(api: httpx.AsyncClient, address: str) -> None:
    error = refusal(await api.post("/api/projects", json={"name": "X", "gitUrl": address}), 422, "VALIDATION_ERROR")
    assert error["details"]["field"] == "gitUrl"
    assert "s3cret" not in str(error["details"])
