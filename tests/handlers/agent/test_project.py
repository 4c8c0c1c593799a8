"""Projects by command: made, found by name, changed, selected, deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


async def test_a_project_is_created_listed_and_viewed(nexus: Nexus) -> None:
    created = (await nexus("agent project create --name demo --category tools --description 'A try'")).data
    assert (created["name"], created["category"], created["status"]) == ("demo", "tools", "active")
    assert Path(created["contentPath"]).is_dir()
    listed = (await nexus("agent project list")).data
    assert [item["id"] for item in listed["items"]] == [created["id"]]
    assert listed["truncated"] is False
    viewed = (await nexus("agent project view --name demo")).data
    assert created.pop("change") == "created"
    assert viewed == {**created, "roadmapCount": 0, "chatCount": 0}


async def test_create_selects_only_when_asked(nexus: Nexus) -> None:
    assert "contextChanges" not in (await nexus("agent project create --name one")).data
    two = (await nexus("agent project create --name two --select")).data
    assert two["contextChanges"] == [
        {"kind": "project", "before": None, "after": {"id": two["id"], "name": "two"}},
    ]
    assert (await nexus("settings context view")).data["project"]["name"] == "two"


async def test_a_relative_content_path_starts_at_the_callers_folder(nexus: Nexus) -> None:
    (nexus.cwd / "site").mkdir()
    for given in (".", "site", "~/site"):
        created = (await nexus(f"agent project create --name 'at {given}' --content-path {given}")).data
        assert Path(created["contentPath"]) == (nexus.cwd / given.removeprefix("~/")).resolve()
    missing = await nexus("agent project create --name no --content-path nowhere")
    assert missing.error["code"] == "VALIDATION_ERROR"


async def test_git_url_clones_a_repository_of_the_callers_folder(
    nexus: Nexus, commit_all: Callable[[Path], None]
) -> None:
    origin = nexus.cwd / "origin"
    origin.mkdir()
    (origin / "hello.txt").write_text("hello\n")
    commit_all(origin)
    created = (await nexus("agent project create --name clone --git-url ./origin")).data
    assert (Path(created["contentPath"]) / "hello.txt").read_text() == "hello\n"


async def test_two_projects_never_have_one_name(nexus: Nexus) -> None:
    await nexus.all("agent project create --name demo")
    again = await nexus("agent project create --name Demo")
    assert again.status == 6
    assert again.error["code"] == "RESOURCE_CONFLICT"


@pytest.mark.parametrize("action", ["view", "select", "delete --yes"])
async def test_one_of_id_and_name_is_wanted_and_the_error_names_both(demo: Nexus, action: str) -> None:
    for given in ("", "--id x --name demo"):
        refused = await demo(f"agent project {action} {given}")
        assert refused.status == 2
        assert "--id" in refused.error["message"]
        assert "--name" in refused.error["message"]


@pytest.mark.parametrize("action", ["view", "select", "delete --yes"])
async def test_a_project_that_is_not_there_is_not_found_and_the_nearest_names_are_told(
    demo: Nexus, action: str
) -> None:
    by_name = await demo(f"agent project {action} --name dema")
    assert by_name.status == 4
    assert by_name.error["code"] == "RESOURCE_NOT_FOUND"
    assert by_name.error["details"]["suggestions"] == ["demo"]
    assert by_name.error["details"]["hint"] == "nexus agent project list"
    assert (await demo(f"agent project {action} --id prj_none")).status == 4


async def test_selecting_a_project_clears_roadmap_and_chat(demo: Nexus) -> None:
    await demo.all(
        "agent roadmap create --title Release --select",
        "agent chat create --title Kickoff --select",
        "agent project create --name other",
    )
    other = (await demo("agent project select --name other")).data
    assert [change["kind"] for change in other["contextChanges"]] == ["project", "roadmap", "chat"]
    seen = (await demo("settings context view")).data
    assert (seen["project"]["name"], seen["roadmap"], seen["chat"]) == ("other", None, None)


async def test_an_update_tells_what_changed_and_leaves_the_rest(demo: Nexus) -> None:
    before = (await demo("agent project update --id demo --category tools --description x")).data
    after = (await demo("""agent project update --id demo --status paused --theme '{"mode":"dark"}'""")).data
    assert after["changed"] == ["status", "theme"]
    assert (after["category"], after["theme"]) == ("tools", {"mode": "dark"})
    again = (await demo(f"agent project update --id {before['id']} --status paused")).data
    assert again["changed"] == []


async def test_empty_text_clears_what_may_be_empty(demo: Nexus) -> None:
    await demo.all("agent project update --id demo --category tools")
    cleared = (await demo("agent project update --id demo --category ''")).data
    assert (cleared["category"], cleared["changed"]) == (None, ["category"])
    assert (await demo("agent project update --id demo --name ''")).status == 2


async def test_an_update_without_a_change_is_refused(demo: Nexus) -> None:
    refused = await demo("agent project update --id demo")
    assert refused.status == 2
    assert "--status" in refused.error["message"]
    for bad in ("--status odd", "--theme dark", "--theme '[1]'", "--theme '{'"):
        assert (await demo(f"agent project update --id demo {bad}")).status == 2


async def test_a_hidden_project_is_listed_only_when_asked_and_found_by_name(nexus: Nexus) -> None:
    await nexus.all("agent project create --name secret --hidden")
    assert (await nexus("agent project list")).data["items"] == []
    assert len((await nexus("agent project list --include-hidden")).data["items"]) == 1
    assert (await nexus("agent project view --name secret")).data["hidden"] is True
    shown = (await nexus("agent project update --id secret --no-hidden")).data
    assert (shown["hidden"], shown["changed"]) == (False, ["hidden"])


async def test_deleting_the_selected_project_clears_the_selection_and_counts_what_went(demo: Nexus) -> None:
    await demo.all(
        "agent roadmap create --title Release --select",
        "agent chat create --title Kickoff --select",
        "agent chat send --message Hello",
    )
    deleted = (await demo("agent project delete --name demo --yes")).data
    assert deleted["cascade"] == {"roadmaps": 1, "chats": 1, "messages": 1, "pipelines": 0, "runs": 0}
    assert [change["kind"] for change in deleted["contextChanges"]] == ["project", "roadmap", "chat"]
    assert (await demo("agent roadmap list")).error["code"] == "CONTEXT_MISSING"


async def test_deleting_another_project_leaves_the_selection(demo: Nexus) -> None:
    await demo.all("agent project create --name other")
    # A flag that names the doomed one does not make it the selected one.
    deleted = (await demo("agent project delete --name other --project other --yes")).data
    assert "contextChanges" not in deleted
    assert (await demo("settings context view")).data["project"]["name"] == "demo"


async def test_nothing_is_deleted_without_confirmation(demo: Nexus) -> None:
    refused = await demo("agent project delete --name demo")
    assert (refused.status, refused.error["code"]) == (2, "CONFIRMATION_REQUIRED")
    assert (await demo("agent project view --name demo")).status == 0


async def test_lists_page_filter_and_sort(nexus: Nexus) -> None:
    for name in ("alpha", "beta", "gamma"):
        await nexus.all(f"agent project create --name {name}")
    first = (await nexus("agent project list --limit 2 --sort -name")).data
    assert [item["name"] for item in first["items"]] == ["gamma", "beta"]
    assert first["truncated"] is True
    rest = (await nexus(f"agent project list --limit 2 --sort -name --cursor {first['nextCursor']}")).data
    assert [item["name"] for item in rest["items"]] == ["alpha"]
    assert (rest["truncated"], rest["nextCursor"]) == (False, None)
    assert [item["name"] for item in (await nexus("agent project list -f MM")).data["items"]] == ["gamma"]
    for bad in ("--limit 0", "--limit 1001", "--cursor nonsense", "--sort nothing"):
        assert (await nexus(f"agent project list {bad}")).status == 2


async def test_a_project_that_is_there_is_the_answer_where_that_was_asked_for(demo: Nexus) -> None:
    there = (await demo("agent project view --name demo")).data
    again = (await demo("agent project create --name demo --category other --if-absent --select --context own")).data
    assert (again["id"], again["category"]) == (there["id"], None)
    assert again["contextChanges"][0]["after"]["id"] == there["id"]
    assert (await demo("agent project create --name new --if-absent")).data["name"] == "new"
