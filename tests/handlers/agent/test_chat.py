"""Chats by command: those of the selected roadmap, their messages, and what standard input may say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


@pytest.fixture
async def kickoff(demo: Nexus) -> Nexus:
    """A project, a roadmap and a chat, all selected."""
    await demo.all(
        "agent roadmap create --title Release --select", "agent chat create --title Kickoff --note Why --select"
    )
    return demo


async def test_a_chat_is_created_listed_and_viewed(kickoff: Nexus) -> None:
    viewed = (await kickoff("agent chat view --title Kickoff")).data
    assert (viewed["title"], viewed["note"], viewed["status"]) == ("Kickoff", "Why", "open")
    assert (await kickoff("agent chat list")).data["items"] == [viewed]
    assert (await kickoff("agent chat view --name Kickoff")).data == viewed
    assert (await kickoff(f"agent chat view --id {viewed['id']}")).data == viewed


async def test_one_of_id_and_title_is_wanted(kickoff: Nexus) -> None:
    refused = await kickoff("agent chat view")
    assert refused.status == 2
    assert "--title" in refused.error["message"]


async def test_messages_come_back_in_the_order_in_which_they_were_sent(kickoff: Nexus) -> None:
    await kickoff.all(
        "agent chat send --message One",
        "agent chat send --message Two --role assistant",
        "agent chat send --message Three --role system",
    )
    said = (await kickoff("agent chat messages")).data["items"]
    assert [(message["role"], message["content"]) for message in said] == [
        ("user", "One"),
        ("assistant", "Two"),
        ("system", "Three"),
    ]
    assert (await kickoff("agent chat send --message x --role root")).status == 2


async def test_a_message_comes_from_standard_input_as_it_is(kickoff: Nexus) -> None:
    text = "  Zeile 1\nπ ≠ 3\n"
    sent = await kickoff("agent chat send --message -", stdin=text.encode())
    assert sent.data["content"] == text
    for bad in (b"", b"\xff\xfe"):
        refused = await kickoff("agent chat send --message -", stdin=bad)
        assert (refused.status, refused.error["code"]) == (2, "VALIDATION_ERROR")
    assert (await kickoff("agent chat send --message -", stdin=b"x" * 4_000_001)).status == 2


@pytest.mark.parametrize("flag", ["--chat Kickoff", "--chat-id Kickoff"])
async def test_a_flag_names_the_chat(kickoff: Nexus, flag: str) -> None:
    await kickoff.all("settings context clear --kinds chat")
    assert (await kickoff("agent chat send --message Hello")).error["code"] == "CONTEXT_MISSING"
    assert (await kickoff(f"agent chat send {flag} --message Hello")).data["content"] == "Hello"


async def test_messages_page_without_a_hole(kickoff: Nexus) -> None:
    for number in range(5):
        await kickoff.all(f"agent chat send --message m{number}")
    seen, cursor = [], ""
    while cursor is not None:
        page = (await kickoff(f"agent chat messages --limit 2 {cursor and f'--cursor {cursor}'}")).data
        seen += [message["content"] for message in page["items"]]
        cursor = page["nextCursor"]
    assert seen == [f"m{number}" for number in range(5)]


async def test_clearing_deletes_the_messages_and_keeps_the_chat(kickoff: Nexus) -> None:
    await kickoff.all("agent chat send --message Hello")
    assert (await kickoff("agent chat clear")).error["code"] == "CONFIRMATION_REQUIRED"
    assert (await kickoff("agent chat clear --yes")).data == {"deleted": 1, "change": "deleted"}
    assert (await kickoff("agent chat messages")).data["items"] == []


async def test_an_update_tells_what_changed(kickoff: Nexus) -> None:
    updated = (await kickoff("agent chat update --id Kickoff --status closed --note '' --title End")).data
    assert updated["changed"] == ["title", "note", "status"]
    assert (updated["title"], updated["note"], updated["status"]) == ("End", None, "closed")


async def test_selecting_a_chat_of_a_flags_roadmap_selects_that_roadmap_and_its_project(kickoff: Nexus) -> None:
    await kickoff.all("agent project create --name other --select")
    selected = (await kickoff("agent chat select --title Kickoff --project demo --roadmap Release")).data
    assert {change["kind"]: change["after"]["name"] for change in selected["contextChanges"]} == {
        "project": "demo",
        "roadmap": "Release",
        "chat": "Kickoff",
    }


async def test_a_chat_of_another_roadmap_is_not_found(kickoff: Nexus) -> None:
    chat = (await kickoff("agent chat view --title Kickoff")).data
    await kickoff.all("agent roadmap create --title Next --select")
    assert (await kickoff(f"agent chat view --id {chat['id']}")).status == 4


async def test_deleting_the_selected_chat_clears_the_selection(kickoff: Nexus) -> None:
    await kickoff.all("agent chat send --message Hello")
    deleted = (await kickoff("agent chat delete --title Kickoff --yes")).data
    assert deleted["cascade"] == {"messages": 1}
    assert [change["kind"] for change in deleted["contextChanges"]] == ["chat"]
