"""Which back end a caller gets, and what it is told to set where there is none."""

import asyncio
from pathlib import Path

import pytest

from nexus.kernel.ai.catalog import choose, listed
from nexus.schemas.ai import AiSettings
from nexus.schemas.errors import NexusError
from nexus.schemas.session import CallerSurroundings

NOTHING = AiSettings()


def with_(**environment: str) -> CallerSurroundings:
    return CallerSurroundings(environment=environment)


def program(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def refused(reference: str | None, caller: CallerSurroundings, settings: AiSettings = NOTHING) -> NexusError:
    with pytest.raises(NexusError) as caught:
        choose(reference, caller, settings)
    return caught.value


@pytest.mark.parametrize(
    ("reference", "code", "names"),
    [
        ("openai", "AI_KEY_MISSING", "OPENAI_API_KEY"),
        ("anthropic:claude-x", "AI_KEY_MISSING", "ANTHROPIC_API_KEY"),
        ("google", "AI_KEY_MISSING", "GEMINI_API_KEY"),
        ("claude", "PROGRAM_MISSING", "npm install"),
        ("acp:my-agent --fast", "PROGRAM_MISSING", ""),
        (None, "AI_BACKEND_MISSING", "OLLAMA_BASE_URL"),
        ("nobody", "VALIDATION_ERROR", "ai backend list"),
        ("script:", "VALIDATION_ERROR", "ai backend list"),
        ("acp:'open", "VALIDATION_ERROR", ""),
        ("gemini:some-model", "VALIDATION_ERROR", ""),
    ],
)
def test_what_is_missing_is_named(reference: str | None, code: str, names: str) -> None:
    entry = refused(reference, with_()).entry()
    assert entry.code == code
    assert names in str(entry.details.get("hint", ""))


def test_the_first_back_end_with_a_key_or_a_program_is_taken(tmp_path: Path) -> None:
    found = program(tmp_path, "gemini")
    agent = choose(None, with_(PATH=str(tmp_path)), NOTHING)
    assert (agent.name, agent.command) == ("gemini", (found, "--acp"))
    key = choose(None, with_(PATH=str(tmp_path), ANTHROPIC_API_KEY="secret-value"), NOTHING)
    assert (key.name, key.key, key.key_variable) == ("anthropic", "secret-value", "ANTHROPIC_API_KEY")


def test_a_key_is_never_shown() -> None:
    choice = choose("openai:m", with_(OPENAI_API_KEY="secret-value"), NOTHING)
    assert "secret-value" not in repr(choice) + choice.told().model_dump_json()


def test_the_better_program_of_an_agent_is_taken(tmp_path: Path) -> None:
    program(tmp_path, "claude-code-acp")
    assert choose("claude", with_(PATH=str(tmp_path)), NOTHING).command[0].endswith("claude-code-acp")
    program(tmp_path, "claude-agent-acp")
    assert choose("claude", with_(PATH=str(tmp_path)), NOTHING).command[0].endswith("claude-agent-acp")


def test_model_and_address_come_from_the_reference_the_configuration_and_the_environment() -> None:
    caller = with_(OPENAI_BASE_URL="http://env:1/v1/")
    assert choose("openai", caller, NOTHING).base_url == "http://env:1/v1"
    # A server of one's own has models of its own: none is presumed.
    assert choose("openai", caller, NOTHING).model is None
    settings = AiSettings(models={"openai": "mine"}, base_urls={"openai": "http://config:2/v1"})
    configured = choose("openai", caller, settings)
    assert (configured.base_url, configured.model, configured.reference) == (
        "http://config:2/v1",
        "mine",
        "openai:mine",
    )
    assert choose("openai:other", caller, settings).model == "other"


@pytest.mark.parametrize(
    ("host", "url"),
    [("box:11434", "http://box:11434/v1"), ("http://box/", "http://box/v1"), ("https://box/api", "https://box/api")],
)
def test_where_ollama_is_may_be_said_in_its_own_way(host: str, url: str) -> None:
    assert choose("ollama", with_(OLLAMA_HOST=host), NOTHING).base_url == url


def test_the_configured_back_end_is_taken_where_none_is_named() -> None:
    assert choose(None, with_(), AiSettings(backend="script:/a.json")).path == "/a.json"
    assert refused(None, with_(), AiSettings(backend="openai")).entry().code == "AI_KEY_MISSING"


async def test_ollama_is_available_while_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    caller = with_(OLLAMA_HOST="")
    monkeypatch.setattr("nexus.kernel.ai.catalog._listens", lambda _: False)
    away = next(each for each in listed(caller, NOTHING) if each.name == "ollama")
    assert not away.available
    assert "OLLAMA_BASE_URL" in (away.needs or "")
    monkeypatch.undo()
    from nexus.kernel.ai.catalog import _listens

    assert await asyncio.to_thread(_listens, f"http://127.0.0.1:{port}/v1")
    server.close()
    await server.wait_closed()
    assert not await asyncio.to_thread(_listens, f"http://127.0.0.1:{port}/v1")
