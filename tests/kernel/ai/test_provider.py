"""Models of a provider: their tokens as they come, and every failure as an error that says what to do."""

import asyncio
from collections.abc import Sequence

import pytest

from nexus.kernel.ai.catalog import choose
from nexus.kernel.ai.chunks import Chunk, Finish, Token, Turn, Usage
from nexus.kernel.ai.provider import ProviderBackend
from nexus.schemas.ai import AiSettings
from nexus.schemas.errors import NexusError
from nexus.schemas.session import CallerSurroundings
from tests.kernel.ai.servers import ModelServer, model_server

KEY = "sk-very-secret-0815"
HELLO = (Turn("user", "Hello"),)


def backend_at(server: ModelServer, *, model: str | None = "tiny", seconds: float = 20.0) -> ProviderBackend:
    caller = CallerSurroundings(environment={"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url})
    settings = AiSettings(models={"openai": model} if model else {})
    return ProviderBackend(choose("openai", caller, settings), caller, seconds=seconds)


async def all_of(backend: ProviderBackend, turns: Sequence[Turn] = HELLO) -> list[Chunk]:
    async with asyncio.timeout(30):
        return [chunk async for chunk in backend.reply(turns)]


def text_of(chunks: Sequence[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, Token))


async def test_tokens_come_one_by_one_then_the_usage_and_the_end() -> None:
    async with model_server() as server:
        chunks = await all_of(backend_at(server))
    assert text_of(chunks) == "Hello, Wörld 🌍"
    assert sum(isinstance(chunk, Token) for chunk in chunks) == 3
    usage, finish = chunks[-2:]
    assert isinstance(usage, Usage)
    assert (usage.usage.input_tokens, usage.usage.output_tokens) == (11, 3)
    assert finish == Finish("stop", "tiny")


@pytest.mark.parametrize(
    ("reference", "environment", "header"),
    [
        (
            "anthropic:tiny",
            {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "http://127.0.0.1:{port}"},
            "authorization",
        ),
        ("google:tiny", {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:{port}"}, "x-goog-api-key"),
        ("ollama:tiny", {"OLLAMA_HOST": "127.0.0.1:{port}"}, None),
    ],
)
async def test_each_provider_is_spoken_to_in_its_own_way(
    reference: str, environment: dict[str, str], header: str | None
) -> None:
    turns = (Turn("system", "Be brief."), Turn("user", "One"), Turn("assistant", "Two"), Turn("user", "Three"))
    async with model_server() as server:
        there = {name: value.format(port=server.port) for name, value in environment.items()}
        caller = CallerSurroundings(environment=there)
        backend = ProviderBackend(choose(reference, caller, AiSettings()), caller, seconds=20)
        chunks = await all_of(backend, turns)
    assert text_of(chunks) == "Hello, Wörld 🌍"
    usage, finish = chunks[-2:]
    assert isinstance(usage, Usage)
    assert (usage.usage.input_tokens, usage.usage.output_tokens) == (11, 3)
    assert finish == Finish("stop", "tiny")
    sent = str(server.requests[-1])
    assert [sent.index(word) for word in ("One", "Two", "Three")] == sorted(
        sent.index(word) for word in ("One", "Two", "Three")
    )
    assert "Be brief." in sent
    assert header is None or server.headers[-1][header].endswith(KEY)


async def test_the_whole_conversation_is_sent_and_the_key_of_the_caller() -> None:
    turns = (Turn("system", "Be brief."), Turn("user", "One"), Turn("assistant", "Two"), Turn("user", "Three"))
    async with model_server() as server:
        await all_of(backend_at(server), turns)
    sent = server.requests[-1]
    assert [(message["role"], message["content"]) for message in sent["messages"]] == [
        ("system", "Be brief."),
        ("user", "One"),
        ("assistant", "Two"),
        ("user", "Three"),
    ]
    assert (sent["model"], sent["stream"]) == ("tiny", True)
    assert server.headers[-1]["authorization"] == f"Bearer {KEY}"


async def test_a_server_of_ones_own_is_asked_for_its_first_model() -> None:
    async with model_server() as server:
        await all_of(backend_at(server, model=None))
    assert server.requests[-1]["model"] == "tiny"


async def test_a_server_of_ones_own_needs_no_key() -> None:
    async with model_server() as server:
        caller = CallerSurroundings(environment={"OPENAI_BASE_URL": server.url})
        choice = choose("openai:tiny", caller, AiSettings())
        assert text_of(await all_of(ProviderBackend(choice, caller, seconds=20))) == "Hello, Wörld 🌍"
    assert KEY not in server.headers[-1]["authorization"]


@pytest.mark.parametrize(
    ("behaviour", "code", "retryable"),
    [
        ("401", "AI_KEY_REFUSED", False),
        ("404", "AI_REQUEST_REFUSED", False),
        ("429", "AI_RATE_LIMITED", True),
        ("500", "AI_BACKEND_FAILED", True),
        ("garbage", "AI_BACKEND_FAILED", True),
    ],
)
async def test_a_failure_has_its_own_code_and_never_the_key(behaviour: str, code: str, retryable: bool) -> None:
    async with model_server(behaviour) as server:
        with pytest.raises(NexusError) as caught:
            await all_of(backend_at(server))
        # Nothing is tried again behind the caller's back.
        assert len(server.requests) == 1
    entry = caught.value.entry()
    assert (entry.code, entry.details["retryable"]) == (code, retryable)
    assert entry.details["hint"]
    assert KEY not in entry.model_dump_json()


async def test_a_rate_limit_says_how_long_to_wait() -> None:
    async with model_server("429") as server:
        with pytest.raises(NexusError) as caught:
            await all_of(backend_at(server))
    assert caught.value.entry().details["retryAfterMs"] == 7000


async def test_an_answer_that_is_cut_off_is_not_taken_for_whole() -> None:
    async with model_server("cut") as server:
        chunks: list[Chunk] = []

        async def read() -> None:
            async for chunk in backend_at(server).reply(HELLO):
                chunks.append(chunk)  # noqa: PERF401 -- what came before the failure is wanted

        with pytest.raises(NexusError) as caught:
            await read()
    assert caught.value.entry().code == "AI_BACKEND_FAILED"
    assert text_of(chunks) == "Hello, Wörld 🌍"


async def test_a_server_that_stands_still_is_given_up_after_the_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent_server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = silent_server.sockets[0].getsockname()[1]
    with pytest.raises(NexusError) as caught:
        await all_of(backend_at(ModelServer(port=port), seconds=0.5))
    silent_server.close()
    assert caught.value.entry().code == "TIMEOUT"


async def test_nobody_there_is_told_with_the_address() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(NexusError) as caught:
        await all_of(backend_at(ModelServer(port=port)))
    entry = caught.value.entry()
    assert (entry.code, str(port) in entry.message) == ("AI_BACKEND_FAILED", True)


async def test_leaving_an_answer_closes_the_connection_at_once() -> None:
    async with model_server("stall") as server:
        stream = backend_at(server).reply(HELLO)
        async for _ in stream:
            break
        await stream.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            await server.gone.wait()
