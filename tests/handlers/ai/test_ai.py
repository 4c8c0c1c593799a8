"""AI chats by command: back ends, conversations, answers as they stream, files."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.handlers.ai.talk import Streaming, streamed, write_script
from tests.handlers.conftest import Nexus
from tests.kernel.ai import agent_program
from tests.kernel.ai.servers import model_server

KEY = "sk-very-secret-0815"
SLOW = ["Once ", "upon ", {"text": "a time", "delay": 30}]


@pytest.fixture
async def talk(nexus: Nexus) -> Nexus:
    """A conversation with a script that says something else each time, selected."""
    write_script(nexus, ["Hel", "lo"], ["Wörld ", "🌍"], repeat=True)
    await nexus.all("ai session create --backend script:talk.json --name talk")
    return nexus


async def test_an_answer_streams_from_metadata_to_close(talk: Nexus) -> None:
    status, printed = await streamed(talk, "ai message send --message Hi")
    assert status == 0
    assert printed.text == "Hello"
    kinds = [event["event"] for event in printed.events]
    assert (kinds[0], kinds[-1], kinds.count("metadata"), kinds.count("close")) == ("metadata", "close", 2 + 1, 1)
    states = [event["payload"]["status"] for event in printed.events if event["event"] == "status"]
    assert states == ["responding", "idle"]
    numbers = [event["seq"] for event in printed.events if "seq" in event]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_the_next_answer_streams_alone(talk: Nexus) -> None:
    await streamed(talk, "ai message send --message Hi")
    assert (await streamed(talk, "ai message send --message Again"))[1].text == "Wörld 🌍"


async def test_collected_the_answer_is_one_envelope(talk: Nexus) -> None:
    data = (await talk("ai message send --message Hi --collect")).data
    assert (data["message"]["content"], data["answer"]["content"]) == ("Hi", "Hello")
    assert data["answer"]["status"] == "complete"


async def test_a_message_comes_from_standard_input(talk: Nexus) -> None:
    await streamed(talk, "ai message send --message -", stdin=b"Zeile 1\nZeile 2\n")
    assert (await talk("ai message list --limit 1")).data["items"][0]["content"] == "Zeile 1\nZeile 2\n"


async def test_an_interrupt_ends_the_reader_at_once_and_keeps_what_came(nexus: Nexus) -> None:
    write_script(nexus, SLOW)
    await nexus.all("ai session create --backend script:talk.json")
    streaming = Streaming()
    running = asyncio.create_task(streaming.run(nexus, "ai message send --message Tell"))
    await streaming.until_text("Once upon ")
    begun = asyncio.get_running_loop().time()
    streaming.signals.sent.put_nowait(signal.SIGINT)
    assert await running == 130
    assert asyncio.get_running_loop().time() - begun < 10
    assert [event["event"] for event in streaming.events][-2:] == ["interrupt", "close"]
    await streamed(nexus, "ai message stream")
    kept = (await nexus("ai message list")).data["items"][-1]
    assert (kept["content"], kept["status"], kept["finishReason"]) == ("Once upon ", "partial", "interrupted")


async def test_giving_up_a_collected_answer_interrupts_it(nexus: Nexus) -> None:
    write_script(nexus, SLOW)
    await nexus.all("ai session create --backend script:talk.json")
    assert (await nexus("ai message send --message Tell --collect --timeout 1")).error["code"] == "TIMEOUT"
    await streamed(nexus, "ai message stream")
    kept = (await nexus("ai message list")).data["items"][-1]
    assert kept["finishReason"] == "interrupted"


async def test_an_answer_that_fails_is_told_in_the_stream_and_by_the_exit_status(nexus: Nexus) -> None:
    write_script(nexus, ["Half ", {"error": "Gone"}], repeat=True)
    await nexus.all("ai session create --backend script:talk.json")
    status, printed = await streamed(nexus, "ai message send --message Hi")
    assert status == 5
    assert [event["payload"]["code"] for event in printed.events if event["event"] == "error"] == ["AI_BACKEND_FAILED"]
    assert printed.events[-1]["event"] == "close"
    assert (await nexus("ai message send --message Hi --collect")).error["code"] == "AI_BACKEND_FAILED"


async def test_the_callers_key_reaches_the_server_and_nothing_else(nexus: Nexus) -> None:
    async with model_server() as server:
        environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
        await nexus("ai session create --backend openai:tiny", environment=environment)
        status, printed = await streamed(nexus, "ai message send --message Hi", environment=environment)
        assert (status, printed.text) == (0, "Hello, Wörld 🌍")
        assert server.headers[-1]["authorization"] == f"Bearer {KEY}"
        server.behaviour = "401"
        status, refused = await streamed(nexus, "ai message send --message Hi", environment=environment)
    assert status == 3
    assert KEY.encode() not in bytes(printed.stdout.written) + bytes(refused.stdout.written)
    for path in nexus.cwd.parent.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


async def test_without_a_key_the_error_says_what_to_set(nexus: Nexus) -> None:
    refused = await nexus("ai session create --backend anthropic")
    assert (refused.status, refused.error["code"]) == (3, "AI_KEY_MISSING")
    assert "ANTHROPIC_API_KEY" in refused.error["details"]["hint"]
    nobody = await nexus("ai session create")
    assert nobody.error["code"] == "AI_BACKEND_MISSING"
    assert "OPENAI_API_KEY" in nobody.error["details"]["hint"]
    assert (await nexus("ai session list")).data["items"] == []


async def test_a_coding_agent_works_where_its_caller_stands(nexus: Nexus) -> None:
    path = nexus.cwd.parent / "bin"
    path.mkdir()
    (path / "gemini").write_text(f'#!/bin/sh\nexec {sys.executable} {Path(agent_program.__file__)} "$@"\n')
    (path / "gemini").chmod(0o755)
    environment = {"PATH": f"{path}:/usr/bin:/bin", "GREETING": "of the caller"}
    listed = (await nexus("ai backend list --filter gemini", environment=environment)).data["items"]
    assert {each["name"]: each["available"] for each in listed}["gemini"]
    made = (await nexus("ai session create --backend gemini --permissions read", environment=environment)).data
    assert (made["workspacePath"], made["permissions"]) == (str(nexus.cwd), "read")
    status, printed = await streamed(nexus, "ai message send --message tools", environment=environment)
    assert status == 0
    told = [event["payload"] for event in printed.events if event["event"] == "data"]
    assert [each["answer"] for each in told if each["type"] == "approval-required"] == ["allowed", "rejected"]
    assert {"agent-thought", "agent-action", "agent-observation", "ai-token"} <= {each["type"] for each in told}
    said = await streamed(nexus, "ai message send --message 'env GREETING'", environment=environment)
    assert said[1].text == "of the caller"


async def test_a_configured_back_end_answers_new_sessions(nexus: Nexus) -> None:
    write_script(nexus, "Yes")
    selected = (await nexus("ai backend select --backend script:talk.json")).data
    assert selected["scope"] == "default"
    made = (await nexus("ai session create")).data
    assert made["backend"] == f"script:{nexus.cwd / 'talk.json'}"


async def test_another_back_end_is_chosen_for_the_selected_session(talk: Nexus) -> None:
    write_script(talk, "I am another", name="other.json")
    selected = (await talk("ai backend select --backend script:other.json")).data
    assert (selected["scope"], selected["session"]["name"]) == ("session", "talk")
    assert (await streamed(talk, "ai message send --message Hi"))[1].text == "I am another"


async def test_the_status_of_a_back_end_is_asked_for(nexus: Nexus) -> None:
    write_script(nexus, "Yes", "No")
    assert (await nexus("ai backend status --backend script:talk.json")).data["detail"] == "2 turns"
    assert (await nexus("ai backend status --backend script:none.json")).error["code"] == "SCRIPT_INVALID"
    async with model_server() as server:
        environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
        status = (await nexus("ai backend status --backend openai", environment=environment)).data
        assert (status["reachable"], status["available"]) == (True, True)
        server.behaviour = "401"
        status = (await nexus("ai backend status --backend openai", environment=environment)).data
        assert (status["reachable"], status["available"]) == (True, False)
        assert "OPENAI_API_KEY" in status["detail"]
        gone = server.url
    status = (await nexus("ai backend status --backend openai", environment={"OPENAI_BASE_URL": gone})).data
    assert (status["reachable"], status["available"]) == (False, False)


async def test_creating_and_switching_selects(talk: Nexus) -> None:
    other = (await talk("ai session create --backend script:talk.json --name other")).data
    assert other["contextChanges"][0]["after"]["name"] == "other"
    switched = (await talk("ai session switch --name talk")).data
    assert switched["contextChanges"][0]["after"]["name"] == "talk"
    assert (await talk("settings context view")).data["session"]["name"] == "talk"
    live = {each["sessionId"]: each["status"] for each in (await talk("session live list")).data["items"]}
    assert live == {switched["id"]: "active", other["id"]: "paused"}


async def test_a_flag_and_a_variable_name_another_session_than_the_selected_one(talk: Nexus) -> None:
    first = (await talk("ai session view --name talk")).data
    await talk.all("ai session create --backend script:talk.json --name other")
    await streamed(talk, f"ai message send --session-id {first['id']} --message Hi")
    assert (await talk("ai message list")).data["items"] == []
    assert len((await talk(f"ai message list --session-id {first['id']}")).data["items"]) == 2
    named = await talk("ai message list", environment={"NEXUS_SESSION_ID": first["id"]})
    assert len(named.data["items"]) == 2


async def test_each_wrong_session_has_its_own_error(talk: Nexus) -> None:
    assert (await talk("ai message send --message x --session-id none")).error["code"] == "SESSION_NOT_FOUND"
    await talk.all(
        "agent project create --name demo --select",
        "agent roadmap create --title Release --select",
        "agent roadmap watch --collect --detach",
    )
    watching = (await talk("session live list --type meta-chat")).data["items"][0]["sessionId"]
    mismatch = await talk(f"ai message send --message x --session-id {watching}")
    assert (mismatch.status, mismatch.error["code"]) == (8, "SESSION_TYPE_MISMATCH")
    session = (await talk("ai session view --name talk")).data["id"]
    await talk.all(f"session live close {session}")
    assert (await talk("ai message send --message x")).error["code"] == "SESSION_CLOSED"
    await talk.all(f"ai session delete --id {session} --yes")
    assert (await talk("ai message list")).error["code"] == "CONTEXT_MISSING"


async def test_a_selected_session_that_was_deleted_elsewhere_is_stale(talk: Nexus) -> None:
    await talk.all("ai session delete --name talk --yes --context elsewhere")
    assert (await talk("ai message list")).error["code"] == "CONTEXT_STALE"


async def test_sessions_are_renamed_and_deleted(talk: Nexus) -> None:
    renamed = (await talk("ai session update --id talk --name speech")).data
    assert (renamed["name"], renamed["changed"]) == ("speech", ["name"])
    assert (await talk("ai session delete --name speech")).error["code"] == "CONFIRMATION_REQUIRED"
    deleted = (await talk("ai session delete --name speech --yes")).data
    assert [change["kind"] for change in deleted["contextChanges"]] == ["session"]
    assert (await talk("ai session view --name speech")).status == 4


async def test_the_stream_is_there_again_and_follows(talk: Nexus) -> None:
    await streamed(talk, "ai message send --message Hi")
    status, again = await streamed(talk, "ai message stream")
    assert (status, again.text, again.events[-1]["event"]) == (0, "Hello", "close")
    following = Streaming()
    running = asyncio.create_task(following.run(talk, "ai message stream --follow --tail 0"))
    await following.until_begun()
    await streamed(talk, "ai message send --message Again")
    await following.until_text("Wörld 🌍")
    following.signals.sent.put_nowait(signal.SIGINT)
    assert await running == 130


async def test_a_conversation_goes_to_a_file_and_comes_back(talk: Nexus) -> None:
    for text in ("One", "Two"):
        await streamed(talk, f"ai message send --message {text}")
    exported = (await talk("ai conversation export --to talk-file.json")).data
    assert (exported["messages"], exported["version"]) == (4, 1)
    assert (await talk("ai conversation export --to talk-file.json")).error["code"] == "RESOURCE_CONFLICT"

    taken = (await talk("ai conversation import --from talk-file.json --name again")).data
    assert (taken["messages"], taken["contextChanges"][0]["after"]["name"]) == (4, "again")
    said = [message["content"] for message in (await talk("ai message list")).data["items"]]
    assert said == ["One", "Hello", "Two", "Wörld 🌍"]

    await talk.all("ai session create --backend script:talk-file.json")
    assert (await streamed(talk, "ai message send --message One"))[1].text == "Hello"
    assert (await streamed(talk, "ai message send --message Three"))[0] == 5


@pytest.mark.parametrize(
    ("content", "told"),
    [("{", "JSON"), ("{}", "exportedAt"), ('{"format": "other"}', "format"), ('{"version": 2}', "version")],
)
async def test_a_file_that_is_no_conversation_makes_no_session(talk: Nexus, content: str, told: str) -> None:
    (talk.cwd / "bad.json").write_text(content)
    refused = await talk("ai conversation import --from bad.json")
    assert (refused.status, told in json.dumps(refused.error)) == (2, True)
    assert (await talk("ai conversation import --from none.json")).status == 2
    assert len((await talk("ai session list")).data["items"]) == 1


async def test_clearing_forgets_what_was_said(talk: Nexus) -> None:
    await streamed(talk, "ai message send --message Hi")
    assert (await talk("ai message clear")).error["code"] == "CONFIRMATION_REQUIRED"
    assert (await talk("ai message clear --yes")).data == {"deleted": 2, "change": "deleted"}
    assert (await streamed(talk, "ai message send --message Hi"))[1].text == "Hello"


async def test_a_dry_run_says_nothing_to_anyone(talk: Nexus) -> None:
    assert (await talk("ai message send --message Hi --dry-run")).status == 0
    assert (await talk("ai message list")).data["items"] == []


async def test_a_roadmap_is_watched_while_it_changes(nexus: Nexus) -> None:
    await nexus.all(
        "agent project create --name demo --select",
        "agent roadmap create --title Release --select",
        "agent chat create --title Kickoff --select",
    )
    first, second = Streaming(), Streaming()
    tasks = [asyncio.create_task(each.run(nexus, "agent roadmap watch")) for each in (first, second)]
    for each in (first, second):
        await each.until_begun()
    await nexus.all("agent chat send --message Hello", "agent roadmap delete --title Release --yes")
    assert await asyncio.wait_for(asyncio.gather(*tasks), 30) == [0, 0]
    for each in (first, second):
        happened = [event["payload"]["happening"] for event in each.events if event["event"] == "data"]
        assert happened == ["message-sent", "roadmap-deleted"]
        assert each.events[-1]["payload"]["reason"] == "deleted"
