"""AI chats over the API: messages and their answers, as they stream and as they are kept."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from tests.kernel.ai.servers import model_server
from tests.kernel.ai.talk import ask, events_until, history, open_chat, say, text_of, write_script
from tests.kernel.answers import answer, refusal

LONG = 30
SLOW = {"answer": ["Once ", "upon ", {"text": "a time", "delay": LONG}]}
KEY = "sk-very-secret-0815"


async def test_an_answer_streams_as_events_and_is_kept_as_it_streamed(api: httpx.AsyncClient, tmp_path: Path) -> None:
    pieces = ["Hel", "lo ", "Wörld 🌍", {"thought": "Hm."}, {"action": {"call": "c", "title": "Look"}}]
    script = write_script(
        tmp_path, {"answer": pieces, "usage": {"inputTokens": 5, "outputTokens": 2}}, contextWindow=100
    )
    session = await open_chat(api, script, name="Talk")
    events = await ask(api, session, "Hi")

    assert [event["event"] for event in events] == ["status", *["data"] * 5, "metadata", "data", "metadata", "status"]
    assert events[0]["payload"]["status"] == "responding"
    tokens = [event["payload"] for event in events if event["payload"].get("type") == "ai-token"]
    assert [(token["content"], token["isFinal"]) for token in tokens] == [
        ("Hel", False),
        ("lo ", False),
        ("Wörld 🌍", False),
        ("", True),
    ]
    last = events[-2]["payload"]
    assert (last["tokenCount"], last["contextWindow"], last["remainingTokens"]) == (7, 100, 93)
    assert (last["status"], last["finishReason"]) == ("complete", "stop")

    said, answered = await history(api, session)
    assert (said["role"], said["content"]) == ("user", "Hi")
    assert (answered["role"], answered["content"], answered["status"]) == ("assistant", text_of(events), "complete")
    assert answered["id"] == tokens[0]["messageId"]
    viewed = answer(await api.get(f"/api/ai/sessions/{session}"))
    assert (viewed["name"], viewed["messageCount"], viewed["live"], viewed["answering"]) == ("Talk", 2, True, False)


async def test_a_model_is_told_what_was_said_before(api: httpx.AsyncClient) -> None:
    async with model_server() as server:
        surroundings = {"environment": {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}}
        session = await open_chat(api, "openai:tiny")
        for text in ("One", "Two"):
            events = await ask(api, session, text, surroundings=surroundings)
    assert [message["content"] for message in server.requests[-1]["messages"]] == ["One", "Hello, Wörld 🌍", "Two"]
    assert events[-2]["payload"]["model"] == "tiny"
    assert (await history(api, session))[-1]["usage"]["outputTokens"] == 3


async def test_the_callers_key_is_kept_nowhere(api: httpx.AsyncClient, data_folder: Path) -> None:
    async with model_server("401") as server:
        surroundings = {"environment": {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}}
        session = await open_chat(api, "openai:tiny")
        events = await ask(api, session, "Hi", surroundings=surroundings)
        assert server.headers[-1]["authorization"] == f"Bearer {KEY}"
    error = next(event["payload"] for event in events if event["event"] == "error")
    assert error["code"] == "AI_KEY_REFUSED"
    failed = (await history(api, session))[-1]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "AI_KEY_REFUSED")
    for path in data_folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


async def test_without_a_key_the_message_is_refused_and_not_kept(api: httpx.AsyncClient) -> None:
    session = await open_chat(api, "anthropic")
    refused = await api.post(f"/api/ai/sessions/{session}/messages", json={"content": "Hi"})
    error = refusal(refused, 424, "AI_KEY_MISSING")
    assert "ANTHROPIC_API_KEY" in error["details"]["hint"]
    assert await history(api, session) == []


async def test_an_interrupt_stops_at_once_and_keeps_what_came(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, SLOW))
    sent = await say(api, session, "Tell")
    await _until_text(api, session, sent["after"], "Once upon ")
    begun = asyncio.get_running_loop().time()
    answer(await api.post(f"/api/sessions/{session}/interrupt"))
    events = await events_until(api, session, sent["after"], "idle")
    assert asyncio.get_running_loop().time() - begun < 10
    assert text_of(events) == "Once upon "
    assert events[-2]["payload"]["finishReason"] == "interrupted"
    kept = (await history(api, session))[-1]
    assert (kept["content"], kept["status"], kept["finishReason"]) == ("Once upon ", "partial", "interrupted")


async def test_one_message_is_answered_at_a_time(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, SLOW))
    await say(api, session, "Tell")
    refused = await api.post(f"/api/ai/sessions/{session}/messages", json={"content": "And?"})
    assert refusal(refused, 409, "RESOURCE_CONFLICT")["details"]["hint"]
    refusal(await api.delete(f"/api/ai/sessions/{session}/messages"), 409, "RESOURCE_CONFLICT")
    await api.post(f"/api/sessions/{session}/interrupt")
    assert len(await history(api, session)) == 2


async def test_an_answer_that_breaks_off_keeps_what_came_and_why(api: httpx.AsyncClient, tmp_path: Path) -> None:
    script = write_script(tmp_path, {"answer": ["Half ", {"error": "Gone"}]}, {"answer": "Whole"})
    session = await open_chat(api, script)
    events = await ask(api, session, "Hi")
    assert [event["payload"]["code"] for event in events if event["event"] == "error"] == ["AI_BACKEND_FAILED"]
    kept = (await history(api, session))[-1]
    assert (kept["content"], kept["status"], kept["error"]["message"]) == ("Half ", "partial", "Gone.")
    assert text_of(await ask(api, session, "Again")) == "Whole"


async def test_a_back_end_that_stands_still_is_given_up(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, SLOW))
    events = await ask(api, session, "Tell", settings={"timeout": 0.2})
    assert [event["payload"]["code"] for event in events if event["event"] == "error"] == ["TIMEOUT"]


async def test_a_message_sent_again_is_said_once(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, {"answer": "Yes"}, repeat=True))
    send = {"url": f"/api/ai/sessions/{session}/messages", "json": {"content": "Hi"}}
    first = answer(await api.post(**send, headers={"idempotency-key": "one"}), 201)  # type: ignore[arg-type]
    again = answer(await api.post(**send, headers={"idempotency-key": "one"}), 201)  # type: ignore[arg-type]
    assert again == first
    await events_until(api, session, first["after"], "idle")
    assert len(await history(api, session)) == 2


async def test_input_of_the_session_is_a_message(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, {"answer": "Yes"}))
    answer(await api.post(f"/api/sessions/{session}/input", json={"client": "a", "number": 1, "data": "Grüße"}))
    events = await events_until(api, session, 1, "idle")
    assert text_of(events) == "Yes"
    assert (await history(api, session))[0]["content"] == "Grüße"


async def test_a_hundred_thousand_tokens_come_whole(api: httpx.AsyncClient, tmp_path: Path) -> None:
    words = [f"{number} " for number in range(100_000)]
    session = await open_chat(api, write_script(tmp_path, {"answer": words}))
    events = await ask(api, session, "Count")
    assert text_of(events) == "".join(words)
    assert (await history(api, session))[-1]["content"] == "".join(words)


async def test_one_very_long_token_is_cut_into_events(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, {"answer": ["\u0001" * 450_000]}))
    events = await ask(api, session, "Go")
    assert text_of(events) == "\u0001" * 450_000
    assert sum(event["event"] == "data" for event in events) == 6


async def test_clearing_begins_anew(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, {"answer": "First"}, {"answer": "Second"}))
    assert [text_of(await ask(api, session, "x")) for _ in range(2)] == ["First", "Second"]
    assert answer(await api.delete(f"/api/ai/sessions/{session}/messages")) == {"deleted": 4}
    assert text_of(await ask(api, session, "x")) == "First"


async def test_another_back_end_goes_on_with_the_conversation(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, {"answer": "First"}))
    await ask(api, session, "One")
    async with model_server() as server:
        caller = {"surroundings": {"environment": {"OPENAI_BASE_URL": server.url}}}
        chosen = {"backend": "openai:tiny", "caller": caller}
        selected = answer(await api.post(f"/api/ai/sessions/{session}/backend", json=chosen))
        assert (selected["backend"], selected["model"]) == ("openai:tiny", "tiny")
        await ask(api, session, "Two", **caller)
    assert [message["content"] for message in server.requests[-1]["messages"]] == ["One", "First", "Two"]
    assert answer(await api.get(f"/api/sessions/{session}"))["metadata"]["backend"] == "openai:tiny"


async def test_a_closed_session_can_be_read_but_not_spoken_to(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, {"answer": "Yes"}))
    await ask(api, session, "Hi")
    await api.post(f"/api/sessions/{session}/close")
    refusal(await api.post(f"/api/ai/sessions/{session}/messages", json={"content": "Hi"}), 409, "SESSION_CLOSED")
    assert len(await history(api, session)) == 2
    assert not answer(await api.get(f"/api/ai/sessions/{session}"))["live"]


async def test_deleting_ends_the_session_and_forgets_what_was_said(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, SLOW))
    await say(api, session, "Tell")
    assert answer(await api.delete(f"/api/ai/sessions/{session}"))["cascade"] == {"messages": 2}
    refusal(await api.get(f"/api/ai/sessions/{session}"), 404, "SESSION_NOT_FOUND")
    refusal(await api.get(f"/api/ai/sessions/{session}/messages"), 404, "SESSION_NOT_FOUND")
    assert answer(await api.get(f"/api/sessions/{session}"))["status"] == "closed"


async def test_messages_page_by_cursor_and_by_offset(api: httpx.AsyncClient, tmp_path: Path) -> None:
    session = await open_chat(api, write_script(tmp_path, {"answer": "Yes"}, repeat=True))
    for number in range(3):
        await ask(api, session, f"m{number}")
    path = f"/api/ai/sessions/{session}/messages"
    page = answer(await api.get(path, params={"limit": 2, "offset": 2}))
    assert [message["content"] for message in page["items"]] == ["m1", "Yes"]
    rest = answer(await api.get(path, params={"cursor": page["nextCursor"]}))
    assert [message["content"] for message in rest["items"]] == ["m2", "Yes"]
    found = answer(await api.get(path, params={"filter": "M1"}))["items"]
    assert [message["content"] for message in found] == ["m1"]
    assert answer(await api.get(f"{path}/{found[0]['id']}")) == found[0]
    refusal(await api.get(f"{path}/none"), 404, "RESOURCE_NOT_FOUND")


async def test_a_conversation_is_exported_and_taken_in_as_it_was(api: httpx.AsyncClient, tmp_path: Path) -> None:
    script = write_script(tmp_path, {"answer": "Yes"}, {"answer": ["No", {"error": "Gone"}]})
    session = await open_chat(api, script)
    for text in ("One", "Two"):
        await ask(api, session, text)
    whole = answer(await api.get(f"/api/ai/sessions/{session}/conversation"))
    assert (whole["format"], whole["version"]) == ("nexus-conversation", 1)

    other = await open_chat(api, script)
    taken = answer(await api.post(f"/api/ai/sessions/{other}/conversation", json=whole))
    assert taken["messages"] == 4
    again = answer(await api.get(f"/api/ai/sessions/{other}/conversation"))
    assert again["messages"] == whole["messages"]
    refusal(await api.post(f"/api/ai/sessions/{other}/conversation", json=whole), 409, "RESOURCE_CONFLICT")
    newer = {**whole, "version": 2}
    refusal(await api.post(f"/api/ai/sessions/{other}/conversation", json=newer), 422, "VALIDATION_ERROR")


async def test_history_and_session_survive_a_restart(data_folder: Path, tmp_path: Path) -> None:
    script = write_script(tmp_path, {"answer": "First"}, {"answer": "Second"})
    session = ""
    for number, expected in enumerate(("First", "Second")):
        kernel = await Kernel.open(data_folder, OneShotHost())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
            session = session or await open_chat(api, script)
            assert text_of(await ask(api, session, "x")) == expected
            assert len(await history(api, session)) == 2 * (number + 1)
        await kernel.close()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
import httpx
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from tests.kernel.ai.talk import open_chat, say
from tests.kernel.ai.test_chats import _until_text

async def main():
    kernel = await Kernel.open(Path(sys.argv[1]), OneShotHost())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        session = await open_chat(api, sys.argv[2])
        sent = await say(api, session, "Tell")
        await _until_text(api, session, sent["after"], "Once upon ")
        os.write(1, session.encode())
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_came_before_the_kernel_was_killed_is_kept(data_folder: Path, tmp_path: Path) -> None:
    script = write_script(tmp_path, SLOW, {"answer": "And on"})
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", KILLED, str(data_folder), script]
    ended = await asyncio.to_thread(
        subprocess.run, command, cwd=root, capture_output=True, timeout=60, env={"PATH": os.defpath}, check=False
    )
    assert ended.returncode == -9, ended.stderr.decode()
    session = ended.stdout.decode()
    kernel = await Kernel.open(data_folder, OneShotHost())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        assert text_of(await ask(api, session, "Go on")) == "And on"
        kept = (await history(api, session))[1]
    await kernel.close()
    assert (kept["content"], kept["status"], kept["finishReason"]) == ("Once upon ", "partial", "lost")


async def _until_text(api: httpx.AsyncClient, session: str, after: int, text: str) -> None:
    async with asyncio.timeout(30):
        while True:
            piece = answer(await api.get(f"/api/sessions/{session}/events", params={"after": str(after), "wait": "1"}))
            if text_of(piece["events"]) == text:
                return


@pytest.mark.parametrize(
    ("options", "field"),
    [({}, "backend"), ({"backend": "x", "permissions": "all"}, "permissions"), ({"backend": "x", "odd": 1}, "odd")],
)
async def test_options_that_do_not_fit_make_no_session(
    api: httpx.AsyncClient, options: dict[str, object], field: str
) -> None:
    refused = await api.post("/api/sessions", json={"type": "ai-chat", "options": options})
    assert field in refusal(refused, 422, "VALIDATION_ERROR")["details"]["field"]
    assert answer(await api.get("/api/ai/sessions"))["items"] == []
    assert answer(await api.get("/api/sessions"))["items"] == []
