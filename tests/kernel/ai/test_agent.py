"""Coding agents as child processes: real ones, that speak the Agent Client Protocol over their standard streams."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from nexus.kernel.ai.agent import AgentBackend
from nexus.kernel.ai.backend import Workplace
from nexus.kernel.ai.catalog import choose
from nexus.kernel.ai.chunks import Action, Approval, Chunk, Finish, Observation, Thought, Token, Turn
from nexus.schemas.ai import AiSettings
from nexus.schemas.errors import NexusError
from nexus.schemas.session import CallerSurroundings
from tests.kernel.ai import agent_program

PROGRAM = f"{sys.executable} {Path(agent_program.__file__)}"
KEY = "very-secret-4711"

MakeAgent = Callable[..., AgentBackend]


@pytest.fixture
async def make_agent(tmp_path: Path) -> AsyncIterator[MakeAgent]:
    made: list[AgentBackend] = []

    def make(words: str = "", *, environment: dict[str, str] | None = None, **place: str) -> AgentBackend:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
        own = {"PATH": path, "AGENT_API_KEY": KEY, **(environment or {})}
        caller = CallerSurroundings(environment=own, umask=0o027)
        choice = choose(f"acp:{PROGRAM} {words}", caller, AiSettings())
        workplace = Workplace(folder=str(tmp_path), **place)  # type: ignore[arg-type]
        made.append(AgentBackend(choice, caller, workplace))
        return made[-1]

    yield make
    for agent in made:
        await agent.aclose()


async def ask(agent: AgentBackend, *said: str) -> list[Chunk]:
    """Say something; what comes before it was said and answered earlier."""
    turns = [turn for text in said[:-1] for turn in (Turn("user", text), Turn("assistant", f"to {text}"))]
    async with asyncio.timeout(60):
        return [chunk async for chunk in agent.reply([*turns, Turn("user", said[-1])])]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, Token))


async def failure(agent: AgentBackend, *said: str) -> NexusError:
    with pytest.raises(NexusError) as caught:
        await ask(agent, *said)
    return caught.value


async def test_words_come_in_their_order_and_then_the_end(make_agent: MakeAgent) -> None:
    chunks = await ask(make_agent(), f"echo {' '.join(map(str, range(200)))}")
    assert text_of(chunks).split() == [str(number) for number in range(200)]
    assert chunks[-1] == Finish("stop")


async def test_one_process_hears_the_whole_conversation(make_agent: MakeAgent) -> None:
    agent = make_agent()
    await ask(agent, "echo one")
    assert text_of(await ask(agent, "echo one", "history")) == "echo one | history"


async def test_a_fresh_process_is_told_what_was_said_before(make_agent: MakeAgent) -> None:
    heard = text_of(await ask(make_agent(), "echo one", "history"))
    assert "User: echo one Assistant: to echo one" in heard
    assert heard.endswith("history")


async def test_an_agent_that_keeps_conversations_takes_its_own_up_again(make_agent: MakeAgent) -> None:
    environment = {"AGENT_LOADS": "yes"}
    first = make_agent(environment=environment)
    await ask(first, "echo one")
    kept = first.agent_session
    await first.aclose()
    second = make_agent(environment=environment, agent_session=kept)
    assert text_of(await ask(second, "echo one", "history")) == "echo one | history"
    assert second.agent_session == kept


async def test_thoughts_plans_and_tools_are_told(make_agent: MakeAgent) -> None:
    chunks = await ask(make_agent(), "tools")
    assert Thought("Let me look.") in chunks
    assert Thought("", [{"content": "Read", "status": "in_progress"}]) in chunks
    action = next(chunk for chunk in chunks if isinstance(chunk, Action))
    assert (action.call, action.title, action.kind, list(action.locations)) == ("t1", "Read a.txt", "read", ["a.txt"])
    assert Observation("t1", "completed", "12 lines") in chunks


@pytest.mark.parametrize(
    ("permissions", "answers"),
    [
        ("reject", "read: no; execute: no; "),
        ("read", "read: yes; execute: no; "),
        ("allow", "read: yes; execute: yes; "),
    ],
)
async def test_permissions_are_answered_by_the_policy(make_agent: MakeAgent, permissions: str, answers: str) -> None:
    chunks = await ask(make_agent(permissions=permissions), "tools")
    assert text_of(chunks) == answers
    approvals = [chunk for chunk in chunks if isinstance(chunk, Approval)]
    assert [(each.kind, each.allowed) for each in approvals] == [
        ("read", "read: yes" in answers),
        ("execute", "execute: yes" in answers),
    ]


async def test_an_interrupt_reaches_the_agent_and_the_next_message_its_answer(
    make_agent: MakeAgent, tmp_path: Path
) -> None:
    agent = make_agent()
    stream = agent.reply([Turn("user", "slow")])
    assert await anext(stream) == Token("begun")
    begun = asyncio.get_running_loop().time()
    await stream.aclose()  # type: ignore[attr-defined]
    assert asyncio.get_running_loop().time() - begun < 5
    assert text_of(await ask(agent, "slow", "echo on")) == "on "
    assert (tmp_path / "cancelled").read_text() == agent.agent_session


async def test_an_agent_that_does_not_stop_is_ended_and_another_one_goes_on(
    make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.kernel.ai.agent.CANCEL_SECONDS", 0.2)
    agent = make_agent()
    stream = agent.reply([Turn("user", "deaf")])
    assert await anext(stream) == Token("begun")
    first = agent.agent_session
    await stream.aclose()  # type: ignore[attr-defined]
    assert text_of(await ask(agent, "deaf", "echo on")) == "on "
    assert agent.agent_session != first


async def test_an_agent_that_dies_is_told_with_its_last_words_but_no_key(make_agent: MakeAgent) -> None:
    agent = make_agent()
    error = await failure(agent, "die")
    assert error.entry().code == "AI_BACKEND_FAILED"
    assert "ended with 3: cannot go on with …" in str(error)
    assert KEY not in error.entry().model_dump_json()
    assert text_of(await ask(agent, "echo again")) == "again "


async def test_an_agent_that_is_not_signed_in_says_so(make_agent: MakeAgent) -> None:
    assert (await failure(make_agent(), "sign in")).entry().code == "AI_SIGN_IN_REQUIRED"


async def test_a_program_that_speaks_something_else_is_told(make_agent: MakeAgent) -> None:
    assert "does not speak the Agent Client Protocol" in str(await failure(make_agent("garbage"), "echo a"))


async def test_the_agent_has_its_callers_surroundings_and_nothing_of_this_process(make_agent: MakeAgent) -> None:
    agent = make_agent(environment={"OWN": "mine"})
    assert text_of(await ask(agent, "env OWN")) == "mine"
    assert text_of(await ask(agent, "env PYTEST_CURRENT_TEST")) == "unset"


async def test_nothing_of_an_agent_is_left_when_it_is_closed(make_agent: MakeAgent) -> None:
    agent = make_agent()
    await ask(agent, "echo a")
    pid = int((agent.agent_session or "").removeprefix("of-"))
    os.kill(pid, 0)
    await agent.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
