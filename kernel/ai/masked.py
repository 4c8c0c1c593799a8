"""A coding agent that was given secrets: what it says is masked, in whatever pieces it comes."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from nexus.kernel.ai.agent import AgentBackend
from nexus.kernel.ai.chunks import Action, Approval, Chunk, Finish, Observation, Thought, Token, Turn
from nexus.kernel.secrets.masking import Masker
from nexus.schemas.errors import NexusError

DEEPEST = 20


class MaskedBackend:
    """The back end behind it, masked."""

    kept = True

    def __init__(self, backend: AgentBackend, mask: Masker) -> None:
        self._backend = backend
        self._mask = mask

    @property
    def agent_session(self) -> str | None:
        return self._backend.agent_session

    async def reply(self, turns: Sequence[Turn]) -> AsyncGenerator[Chunk]:
        said = MaskedSpeech(self._mask)
        try:
            async with aclosing(self._backend.reply(turns)) as coming:
                async for chunk in coming:
                    for shown in said.take(chunk):
                        yield shown
        except NexusError as error:
            for shown in said.rest():
                yield shown
            error.data = {name: hidden(value, self._mask) for name, value in error.data.items()}
            raise

    async def aclose(self) -> None:
        await self._backend.aclose()


class MaskedSpeech:
    """One answer. Words and thoughts are streams of their own: what may begin a secret is held back in each."""

    def __init__(self, mask: Masker) -> None:
        self._mask = mask
        self._words = mask.beside()
        self._thoughts = mask.beside()

    def take(self, chunk: Chunk) -> Iterator[Chunk]:
        """Take what comes next, and yield what may be shown."""
        match chunk:
            case Token(text):
                if shown := self._words.feed(text.encode("utf-8", "replace")):
                    yield Token(shown.decode())
            case Thought(text, plan):
                shown = self._thoughts.feed(text.encode("utf-8", "replace"))
                if shown or plan:
                    yield Thought(shown.decode(), hidden(plan, self._mask))
            case Action():
                title, given = self._mask.text(chunk.title), hidden(chunk.input, self._mask)
                places = hidden(list(chunk.locations), self._mask)
                yield Action(chunk.call, title, chunk.kind, given, places)
            case Observation(call, status, content):
                yield Observation(call, status, self._mask.text(content))
            case Approval():
                title = self._mask.text(chunk.title)
                yield Approval(chunk.call, title, chunk.kind, chunk.allowed, chunk.policy, chunk.options)
            case Finish():
                yield from self.rest()
                yield chunk
            case _:
                yield chunk

    def rest(self) -> Iterator[Chunk]:
        """Yield what is held back when no more comes."""
        if thought := self._thoughts.flush():
            yield Thought(thought.decode())
        if word := self._words.flush():
            yield Token(word.decode())


def hidden(value: Any, mask: Masker, depth: int = 0) -> Any:
    """Return a JSON value with all its texts masked; what is too deep is not shown."""
    if isinstance(value, str):
        return mask.text(value)
    if depth > DEEPEST:
        return None
    if isinstance(value, dict):
        return {mask.text(str(key)): hidden(each, mask, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(each, mask, depth + 1) for each in value]
    return value
