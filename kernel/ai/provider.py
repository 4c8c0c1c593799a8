"""The back end of a provider's model, through pydantic-ai: imported late, in a thread, and only for this."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from nexus.kernel.ai.catalog import Choice, require_extra
from nexus.kernel.ai.chunks import Chunk, Finish, Thought, Token, Turn, Usage
from nexus.kernel.ai.failures import Asked, told
from nexus.schemas.ai import TokenUsage
from nexus.schemas.errors import AiRequestRefused, NexusError
from nexus.schemas.session import CallerSurroundings
from nexus.sessions.outbound import CONNECT_SECONDS, Outbound

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.messages import ModelMessage, ModelResponseStreamEvent
    from pydantic_ai.models import Model, StreamedResponse
    from pydantic_ai.profiles import ModelProfile

NO_KEY = "none"
"""What a server is sent that wants no key: the libraries insist on one."""


class ProviderBackend:
    """Answers by one request to a provider; nothing is kept behind it."""

    kept = False
    agent_session: str | None = None

    def __init__(
        self, choice: Choice, caller: CallerSurroundings, *, seconds: float, context_window: int | None = None
    ) -> None:
        self._choice = choice
        self._caller = caller
        self._seconds = seconds
        self._context_window = context_window
        self._open = AsyncExitStack()

    async def reply(self, turns: Sequence[Turn]) -> AsyncGenerator[Chunk]:
        try:
            model = await self._model()
            async for chunk in self._answer(model, turns):
                yield chunk
        except NexusError:
            raise
        except ImportError as error:
            raise require_extra("An AI chat with a model", error) from error
        except Exception as error:
            raise told(error, Asked(self._choice, self._caller.environment, self._seconds)) from error
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        await self._open.aclose()

    async def _model(self) -> "Model[Any]":
        # One import may take a second, certificates 20 ms: neither on the event loop's thread.
        client = await asyncio.to_thread(self._client)
        await self._open.enter_async_context(client)
        name = self._choice.model or await self._first_model(client)
        return await asyncio.to_thread(_made, self._choice, name, client)

    def _client(self) -> "httpx2.AsyncClient":
        import httpx2

        base_url = self._choice.base_url or ""
        outbound = Outbound.of(self._caller.environment)
        return httpx2.AsyncClient(
            timeout=httpx2.Timeout(self._seconds, connect=min(CONNECT_SECONDS, self._seconds)),
            trust_env=False,
            proxy=outbound.proxy(base_url),
            verify=outbound.certificates(base_url) or True,
        )

    async def _first_model(self, client: "httpx2.AsyncClient") -> str:
        """Ask a server of one's own what it has, where nobody said which model."""
        headers = {"authorization": f"Bearer {self._choice.key}"} if self._choice.key else {}
        response = await client.get(f"{self._choice.base_url}/models", headers=headers)
        response.raise_for_status()
        listed = response.json()
        models = listed.get("data") if isinstance(listed, dict) else None
        first = models[0] if isinstance(models, list) and models else None
        if not isinstance(first, dict) or not isinstance(first.get("id"), str):
            raise AiRequestRefused.because(
                f"The server at {self._choice.base_url} tells of no model.",
                hint=f"nexus settings config get --key ai.{self._choice.name}_model",
            )
        return str(first["id"])

    async def _answer(self, model: "Model[Any]", turns: Sequence[Turn]) -> AsyncGenerator[Chunk]:
        from pydantic_ai.direct import model_request_stream

        request = model_request_stream(model, _history(turns), model_settings={"max_retries": 0})
        async with request as stream:
            async for event in stream:
                if (chunk := _chunk(event)) is not None:
                    yield chunk
            yield Usage(self._usage(stream, model))
            yield Finish(stream.get().finish_reason, stream.model_name)

    def _usage(self, stream: "StreamedResponse", model: "Model[Any]") -> TokenUsage:
        usage = stream.usage
        return TokenUsage(
            input_tokens=usage.input_tokens or None,
            output_tokens=usage.output_tokens or None,
            context_window=self._context_window or model.context_window,
        )


def _made(choice: Choice, name: str, client: "httpx2.AsyncClient") -> "Model[Any]":
    """Make the model's object; imports its provider's library. Key and address are always ours, never found."""
    key, base_url = choice.key or NO_KEY, choice.base_url or ""
    if choice.name == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        return AnthropicModel(name, provider=AnthropicProvider(api_key=key, base_url=base_url, http_client=client))
    if choice.name == "google":
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        return GoogleModel(name, provider=GoogleProvider(api_key=key, base_url=base_url, http_client=client))
    if choice.name == "ollama":
        from pydantic_ai.models.ollama import OllamaModel
        from pydantic_ai.providers.ollama import OllamaProvider

        ollama = OllamaProvider(base_url=base_url, api_key=key, http_client=client)
        return OllamaModel(name, provider=ollama, profile=_whole_answers())
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    openai = OpenAIProvider(base_url=base_url, api_key=key, http_client=client)
    return OpenAIChatModel(name, provider=openai, profile=_whole_answers())


def _whole_answers() -> "ModelProfile":
    """A connection that ends cleanly may yet have been cut: only a finish reason says that the answer is whole."""
    from pydantic_ai.profiles.openai import OpenAIModelProfile

    return OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)


def _history(turns: Sequence[Turn]) -> "list[ModelMessage]":
    from pydantic_ai.messages import ModelRequest, ModelResponse, SystemPromptPart, TextPart, UserPromptPart

    history: list[ModelMessage] = []
    for turn in turns:
        if turn.role == "assistant":
            if turn.content:
                history.append(ModelResponse(parts=[TextPart(content=turn.content)]))
            continue
        part = UserPromptPart(content=turn.content) if turn.role == "user" else SystemPromptPart(content=turn.content)
        last = history[-1] if history else None
        if isinstance(last, ModelRequest):
            last.parts = [*last.parts, part]
        else:
            history.append(ModelRequest(parts=[part]))
    return history


def _chunk(event: "ModelResponseStreamEvent") -> Chunk | None:
    from pydantic_ai import messages

    if isinstance(event, messages.PartStartEvent):
        if isinstance(event.part, messages.TextPart) and event.part.content:
            return Token(event.part.content)
        if isinstance(event.part, messages.ThinkingPart) and event.part.content:
            return Thought(event.part.content)
    elif isinstance(event, messages.PartDeltaEvent):
        if isinstance(event.delta, messages.TextPartDelta) and event.delta.content_delta:
            return Token(event.delta.content_delta)
        if isinstance(event.delta, messages.ThinkingPartDelta) and event.delta.content_delta:
            return Thought(event.delta.content_delta)
    return None
