"""Named contexts by command: agents side by side do not change each other's selections."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


async def test_two_contexts_select_apart(nexus: Nexus) -> None:
    await nexus.all(
        "agent project create --name one --select",
        "agent project create --name two --select --context reviewer",
    )
    assert (await nexus("settings context view")).data["project"]["name"] == "one"
    assert (await nexus("settings context view --context reviewer")).data["project"]["name"] == "two"
    by_variable = await nexus("settings context view", environment={"NEXUS_CONTEXT": "reviewer"})
    assert (by_variable.data["name"], by_variable.data["project"]["name"]) == ("reviewer", "two")
    listed = (await nexus("settings context list")).data["items"]
    assert [(item["name"], item["active"], item["project"]["name"]) for item in listed] == [
        ("default", True, "one"),
        ("reviewer", False, "two"),
    ]


async def test_several_things_are_selected_at_once(nexus: Nexus) -> None:
    await nexus.all(
        "agent project create --name demo",
        "agent roadmap create --project demo --title Release",
        "agent chat create --project demo --roadmap Release --title Kickoff",
    )
    chosen = (await nexus("settings context set --project demo --roadmap Release --chat Kickoff")).data
    assert [chosen[kind]["name"] for kind in ("project", "roadmap", "chat")] == ["demo", "Release", "Kickoff"]
    assert [change["kind"] for change in chosen["contextChanges"]] == ["project", "roadmap", "chat"]
    assert "contextChanges" not in (await nexus("settings context set --roadmap Release")).data


async def test_set_wants_something_and_finds_it_where_it_belongs(nexus: Nexus) -> None:
    assert (await nexus("settings context set")).status == 2
    assert (await nexus("settings context set --project none")).status == 4
    missing = await nexus("settings context set --roadmap Release")
    assert (missing.status, missing.error["code"]) == (7, "CONTEXT_MISSING")


async def test_clear_clears_what_stands_below_too(nexus: Nexus) -> None:
    await nexus.all(
        "agent project create --name demo --select",
        "agent roadmap create --title Release --select",
        "agent chat create --title Kickoff --select",
    )
    left = (await nexus("settings context clear --kinds roadmap")).data
    assert (left["project"]["name"], left["roadmap"], left["chat"]) == ("demo", None, None)
    assert [change["kind"] for change in left["contextChanges"]] == ["roadmap", "chat"]
    assert (await nexus("settings context clear")).data["project"] is None
    assert (await nexus("settings context clear --kinds planet")).status == 2


async def test_what_overrides_a_selection_is_told(nexus: Nexus) -> None:
    view = await nexus("settings context view --project demo", environment={"NEXUS_CHAT": "Kickoff"})
    assert view.data["overrides"] == [
        {"kind": "project", "reference": "demo", "source": "flag"},
        {"kind": "chat", "reference": "Kickoff", "source": "environment"},
    ]


async def test_a_context_is_deleted_and_a_bad_name_refused(nexus: Nexus) -> None:
    await nexus.all("agent project create --name demo --select --context reviewer")
    assert (await nexus("settings context delete --name reviewer")).error["code"] == "CONFIRMATION_REQUIRED"
    assert (await nexus("settings context delete --name reviewer --yes")).data["id"] == "reviewer"
    assert (await nexus("settings context delete --name reviewer --yes")).status == 4
    assert (await nexus("settings context delete --name ../x --yes")).status == 2
    assert (await nexus("settings context view --context a/b")).status == 2
