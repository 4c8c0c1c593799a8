"""Roadmaps by command: those of the selected project, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


@pytest.fixture
async def release(demo: Nexus) -> Nexus:
    """The project `demo` with the roadmap `Release`, both selected."""
    await demo.all("agent roadmap create --title Release --tags v1,public --select")
    return demo


async def test_a_roadmap_is_created_listed_and_viewed(demo: Nexus) -> None:
    created = (await demo("agent roadmap create --title Release --tags v1,public")).data
    assert (created["title"], created["tags"], created["status"], created["progress"]) == (
        "Release",
        ["v1", "public"],
        "planned",
        0,
    )
    assert created.pop("change") == "created"
    assert (await demo("agent roadmap list")).data["items"] == [created]
    assert (await demo("agent roadmap view --name Release")).data == created
    assert (await demo(f"agent roadmap view --id {created['id']}")).data == created


@pytest.mark.parametrize(
    "line",
    [
        "list",
        "create --title x",
        "view --name x",
        "select --name x",
        "update --id x --title y",
        "delete --name x --yes",
        "status",
    ],
)
async def test_without_a_project_every_command_says_what_is_missing(nexus: Nexus, line: str) -> None:
    refused = await nexus(f"agent roadmap {line}")
    assert (refused.status, refused.error["code"]) == (7, "CONTEXT_MISSING")
    assert refused.error["details"]["hint"] == "nexus agent project list"
    assert "nexus agent project select --name NAME" in refused.error["details"]["examples"]


async def test_a_flag_or_the_environment_names_the_project(release: Nexus) -> None:
    await release.all("agent project create --name other --select")
    assert (await release("agent roadmap list")).data["items"] == []
    assert len((await release("agent roadmap list --project demo")).data["items"]) == 1
    named = await release("agent roadmap list", environment={"NEXUS_PROJECT": "demo"})
    assert len(named.data["items"]) == 1


async def test_a_roadmap_of_another_project_is_not_found_even_by_its_id(release: Nexus) -> None:
    roadmap = (await release("agent roadmap view --name Release")).data
    await release.all("agent project create --name other --select")
    for line in (
        f"view --id {roadmap['id']}",
        f"select --id {roadmap['id']}",
        f"update --id {roadmap['id']} --progress 5",
        f"delete --id {roadmap['id']} --yes",
    ):
        refused = await release(f"agent roadmap {line}")
        assert (refused.status, refused.error["code"]) == (4, "RESOURCE_NOT_FOUND")
    assert (await release("agent roadmap view --name Release --project demo")).data == roadmap


async def test_selecting_a_roadmap_of_a_flags_project_selects_that_project_too(release: Nexus) -> None:
    await release.all("agent project create --name other --select")
    selected = (await release("agent roadmap select --name Release --project demo")).data
    assert {change["kind"]: change["after"]["name"] for change in selected["contextChanges"]} == {
        "project": "demo",
        "roadmap": "Release",
    }


async def test_selecting_a_roadmap_clears_the_chat(release: Nexus) -> None:
    await release.all("agent chat create --title Kickoff --select", "agent roadmap create --title Next")
    selected = (await release("agent roadmap select --name Next")).data
    assert [change["kind"] for change in selected["contextChanges"]] == ["roadmap", "chat"]


async def test_an_update_tells_what_changed(release: Nexus) -> None:
    updated = (await release("agent roadmap update --id Release --status active --progress 40 --tags v2")).data
    assert updated["changed"] == ["tags", "status", "progress"]
    assert (updated["tags"], updated["progress"]) == (["v2"], 40)
    assert (await release("agent roadmap update --id Release --progress 40")).data["changed"] == []
    for bad in ("--progress 101", "--progress -1", "--progress half", "--status odd", ""):
        assert (await release(f"agent roadmap update --id Release {bad}")).status == 2


async def test_status_counts_what_was_said_in_the_selected_or_the_named_roadmap(release: Nexus) -> None:
    await release.all("agent chat create --title Kickoff --select", "agent chat send --message Hello")
    selected = (await release("agent roadmap status")).data
    assert (selected["title"], selected["chatCount"], selected["messageCount"]) == ("Release", 1, 1)
    assert (await release("agent roadmap status --name Release")).data == selected
    assert (await release("agent roadmap status --roadmap Release")).data == selected
    await release.all("agent project select --name demo", "settings context clear --kinds roadmap")
    missing = await release("agent roadmap status")
    assert (missing.status, missing.error["code"]) == (7, "CONTEXT_MISSING")
    assert (await release("agent roadmap status --id a --name b")).status == 2


async def test_deleting_the_selected_roadmap_clears_the_selection(release: Nexus) -> None:
    await release.all("agent chat create --title Kickoff --select", "agent chat send --message Hello")
    deleted = (await release("agent roadmap delete --name Release --yes")).data
    assert deleted["cascade"] == {"chats": 1, "messages": 1}
    assert [change["kind"] for change in deleted["contextChanges"]] == ["roadmap", "chat"]


async def test_a_roadmap_deleted_elsewhere_is_reported_as_a_stale_selection(release: Nexus) -> None:
    await release.all("agent roadmap delete --name Release --yes --context other --project demo")
    stale = await release("agent chat list")
    assert (stale.status, stale.error["code"]) == (7, "CONTEXT_STALE")


async def test_a_title_that_two_roadmaps_have_is_never_guessed(release: Nexus) -> None:
    await release.all("agent roadmap create --title Release")
    for line in ("agent roadmap view --name Release", "agent chat list --roadmap Release"):
        refused = await release(line)
        assert (refused.status, refused.error["code"]) == (6, "RESOURCE_CONFLICT")


async def test_a_flag_that_names_nothing_is_told_with_the_nearest_names(release: Nexus) -> None:
    for line, near in (("agent roadmap list --project dema", "demo"), ("agent chat list --roadmap Relaese", "Release")):
        refused = await release(line)
        assert refused.status == 4
        assert refused.error["details"]["suggestions"] == [near]
