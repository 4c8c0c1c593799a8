"""Scripts: written or recorded, they answer always alike, and say what is wrong with them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from nexus.kernel.ai.chunks import Action, Chunk, Finish, Observation, Thought, Token, Turn, Usage
from nexus.kernel.ai.script import ScriptBackend
from nexus.schemas.errors import NexusError

WRITTEN = """
format: nexus-script
version: 1
contextWindow: 8000
turns:
  - expect: Hello
    answer:
      - Hel
      - {text: lo, delay: 0.01}
      - {thought: Hm.}
      - {action: {call: one, title: Read a.txt, kind: read, input: {path: a.txt}}}
      - {observation: {call: one, content: 12 lines}}
    usage: {inputTokens: 5, outputTokens: 2}
  - answer: Anything goes.
    finish: length
  - answer: [One, {error: The model is away}]
"""


def said(*texts: str) -> list[Turn]:
    """Return a conversation in which the user said this, and was answered something."""
    turns = [turn for text in texts for turn in (Turn("user", text), Turn("assistant", "…"))]
    return turns[:-1]


async def replay(path: Path, *texts: str) -> list[Chunk]:
    async with asyncio.timeout(20):
        return [chunk async for chunk in ScriptBackend(str(path)).reply(said(*texts))]


async def refused(path: Path, *texts: str) -> dict[str, Any]:
    with pytest.raises(NexusError) as caught:
        await replay(path, *texts)
    return caught.value.entry().model_dump(by_alias=True)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "talk.yaml"
    path.write_text(WRITTEN, "utf-8")
    return path


async def test_a_turn_is_replayed_piece_by_piece(written: Path) -> None:
    chunks = await replay(written, "Hello")
    assert chunks[:5] == [
        Token("Hel"),
        Token("lo"),
        Thought("Hm."),
        Action("one", "Read a.txt", "read", {"path": "a.txt"}),
        Observation("one", "completed", "12 lines"),
    ]
    usage, finish = chunks[5:]
    assert isinstance(usage, Usage)
    assert usage.usage.model_dump() == {"inputTokens": 5, "outputTokens": 2, "contextWindow": 8000}
    assert finish == Finish("stop")


async def test_the_turn_is_the_one_of_the_messages_number(written: Path) -> None:
    assert (await replay(written, "Hello", "whatever"))[0] == Token("Anything goes.")
    assert (await replay(written, "Hello", "whatever"))[-1] == Finish("length")


async def test_what_is_not_expected_is_told(written: Path) -> None:
    error = await refused(written, "Good morning")
    assert (error["code"], error["details"]["expected"]) == ("SCRIPT_INVALID", "Hello")


async def test_an_error_in_the_script_breaks_the_answer_off(written: Path) -> None:
    error = await refused(written, "Hello", "a", "b")
    assert (error["code"], error["message"]) == ("AI_BACKEND_FAILED", "The model is away.")


async def test_behind_its_end_a_script_says_so_unless_it_repeats(written: Path) -> None:
    assert (await refused(written, "Hello", "a", "b", "c"))["code"] == "SCRIPT_INVALID"
    written.write_text("repeat: true\nturns: [{answer: A}, {answer: B}]", "utf-8")
    assert [(await replay(written, *"x" * count))[0] for count in (1, 2, 3)] == [Token("A"), Token("B"), Token("A")]


async def test_a_recorded_conversation_answers_as_it_was_answered(tmp_path: Path) -> None:
    moment = "2026-11-20T12:00:00Z"
    messages = [
        {"role": "user", "content": "Hi", "createdAt": moment},
        {"role": "assistant", "content": "Hello  there,\nyou", "createdAt": moment},
    ]
    path = tmp_path / "recorded.json"
    session = {"name": "a", "backend": "openai", "createdAt": moment}
    whole = {"format": "nexus-conversation", "version": 1, "exportedAt": moment, "session": session}
    path.write_text(json.dumps({**whole, "messages": messages}), "utf-8")
    tokens = [chunk.text for chunk in await replay(path, "Hi") if isinstance(chunk, Token)]
    assert tokens == ["Hello  ", "there,\n", "you"]
    assert (await refused(path, "Bye"))["details"]["expected"] == "Hi"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("turns: [{answer: [{text: a, thought: b}]}]", "turns.0.answer.0"),
        ("turns: [{answre: x}]", "answre"),
        ("turns: []", "turns"),
        ("version: 2\nturns: [{answer: x}]", "version"),
        ("a: [1, 2", "line"),
        ("just text", "cannot be used"),
        ("", "cannot be used"),
    ],
)
async def test_a_bad_script_says_where(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content, "utf-8")
    error = await refused(path, "Hello")
    assert error["code"] == "SCRIPT_INVALID"
    assert told in error["message"]


async def test_a_script_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert "No such file" in (await refused(tmp_path / "none.yaml", "Hello"))["message"]
    assert "directory" in (await refused(tmp_path, "Hello"))["message"]


async def test_the_example_that_is_shipped_works() -> None:
    path = Path(__file__).parents[3] / "examples" / "greeting.yaml"
    tokens = [chunk.text for chunk in await replay(path, "Hello") if isinstance(chunk, Token)]
    assert "".join(tokens) == "Good morning. What shall we do?"
    assert Observation("one", "completed", "120 lines") in await replay(path, "Hello", "Look")
