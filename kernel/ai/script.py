"""The back end `script:FILE`: replays a conversation from a file, always alike and without a network.

The file is YAML or JSON, in one of two forms. Written:

    format: nexus-script
    version: 1
    contextWindow: 8000            # told with the tokens; left out, it is not known
    repeat: false                  # behind the last turn, begin again
    turns:
      - expect: Hello              # what must be said, exactly; left out, anything may
        answer:                    # a text, or pieces in their order
          - Hel                    # a piece of the answer
          - {text: lo, delay: 0.2} # seconds to wait before it
          - {thought: Hm.}
          - {action: {call: one, title: Read a.txt, kind: read}}
          - {observation: {call: one, status: completed, content: "12 lines"}}
          - {error: The model is away.}   # the answer breaks off here
        finish: stop
        usage: {inputTokens: 5, outputTokens: 2}

Recorded: a file of `ai conversation export`. Each message of the user is then expected as it was said, and answered as
it was answered.

The turn that answers is the one of the same number: the third message gets the third turn.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, Literal, Self, TypeVar

import pydantic
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nexus.kernel.ai.chunks import Action, Chunk, Finish, Observation, Thought, Token, Turn, Usage
from nexus.schemas.ai import CONVERSATION_FORMAT, MOST_CHARACTERS, Conversation, TokenUsage
from nexus.schemas.errors import AiBackendFailed, ScriptInvalid
from nexus.schemas.model import StrictModel
from nexus.schemas.regular import open_regular

Read = TypeVar("Read", bound=StrictModel)

MOST_BYTES = 16 * 1024 * 1024
MOST_DELAY_SECONDS = 3600.0


class ScriptAction(StrictModel):
    """A tool that is used."""

    call: str = Field(min_length=1, max_length=200)
    title: str = Field(max_length=1000)
    kind: str = Field(default="other", max_length=100)
    input: Any = None


class ScriptObservation(StrictModel):
    """What a tool said."""

    call: str = Field(min_length=1, max_length=200)
    status: Literal["pending", "in_progress", "completed", "failed"] = "completed"
    content: str = Field(default="", max_length=MOST_CHARACTERS)


class ScriptPiece(StrictModel):
    """One piece of an answer: exactly one of the kinds, after `delay` seconds."""

    text: str | None = Field(default=None, max_length=MOST_CHARACTERS)
    thought: str | None = Field(default=None, max_length=MOST_CHARACTERS)
    action: ScriptAction | None = None
    observation: ScriptObservation | None = None
    error: str | None = Field(default=None, min_length=1, max_length=10_000)
    delay: float = Field(default=0, ge=0, le=MOST_DELAY_SECONDS)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        return {"text": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = (self.text, self.thought, self.action, self.observation, self.error)
        if sum(kind is not None for kind in kinds) != 1:
            raise PydanticCustomError("one_kind", "give exactly one of text, thought, action, observation and error")
        return self

    def chunk(self) -> Chunk:
        """Return what the piece yields. Raises `AiBackendFailed` where it is an error."""
        if self.text is not None:
            return Token(self.text)
        if self.thought is not None:
            return Thought(self.thought)
        if self.action is not None:
            return Action(self.action.call, self.action.title, self.action.kind, self.action.input)
        if self.observation is not None:
            return Observation(self.observation.call, self.observation.status, self.observation.content)
        raise AiBackendFailed.because(f"{(self.error or '').rstrip('.')}.", hint="The script says so.")


class ScriptTurn(StrictModel):
    """What is said, and its answer."""

    expect: str | None = None
    answer: list[ScriptPiece] = Field(default_factory=list)
    finish: str = Field(default="stop", max_length=100)
    usage: TokenUsage | None = None

    @model_validator(mode="before")
    @classmethod
    def _answer_from_text(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("answer"), str):
            return {**given, "answer": [given["answer"]]}
        return given


class Script(StrictModel):
    """A written conversation."""

    format: Literal["nexus-script"] = "nexus-script"
    version: Literal[1] = 1
    context_window: int | None = Field(default=None, ge=1)
    repeat: bool = False
    turns: list[ScriptTurn] = Field(min_length=1)

    def turn(self, number: int, path: str) -> ScriptTurn:
        """Return the turn that answers message `number`, from 1. Raises `ScriptInvalid` behind the last one."""
        if number > len(self.turns) and not self.repeat:
            raise ScriptInvalid.because(
                f"The script {path} has {len(self.turns)} turns, and this is message {number}.",
                path=path,
                hint="nexus ai message clear --yes",
            )
        return self.turns[(number - 1) % len(self.turns)]


def read_script(path: str) -> Script:
    """Read a script. Blocks. Raises `ScriptInvalid` with what is wrong and where."""
    content = _content(path)
    if isinstance(content, dict) and content.get("format") == CONVERSATION_FORMAT:
        return recorded(_validated(Conversation, content, path))
    return _validated(Script, content, path)


def recorded(conversation: Conversation) -> Script:
    """Return what replays a recorded conversation."""
    turns: list[ScriptTurn] = []
    for message in conversation.messages:
        if message.role == "user":
            turns.append(ScriptTurn(expect=message.content))
        elif message.role == "assistant" and turns:
            turn = turns[-1]
            turn.answer += [ScriptPiece(text=piece) for piece in _words(message.content)]
            if message.error is not None:
                turn.answer.append(ScriptPiece(error=message.error.message or message.error.code))
            turn.finish = message.finish_reason or "stop"
            turn.usage = message.usage
    return Script(turns=turns or [ScriptTurn(answer=[])])


def _words(text: str) -> Iterator[str]:
    """Cut a text into words with the space behind them: what comes out together is the text."""
    start = 0
    for position in range(1, len(text)):
        if text[position - 1].isspace() and not text[position].isspace():
            yield text[start:position]
            start = position
    if text:
        yield text[start:]


def _content(path: str) -> Any:
    try:
        with open_regular(path) as file:
            raw = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ScriptInvalid.because(f"The script {path} cannot be read: {reason}.", path=path) from error
    if len(raw) > MOST_BYTES:
        raise ScriptInvalid.because(f"The script {path} is larger than {MOST_BYTES} bytes.", path=path)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return _yaml(raw, path)


def _yaml(raw: bytes, path: str) -> Any:
    import yaml

    try:
        return yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 -- a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place is not None else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ScriptInvalid.because(
            f"The script {path}{where} is neither JSON nor YAML: {problem}.", path=path
        ) from error


def _validated(model: type[Read], content: Any, path: str) -> Read:
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in found["loc"])
        raise ScriptInvalid.because(
            f"The script {path} cannot be used: {field or 'it'}: {found['msg']}.",
            path=path,
            field=field or None,
            hint="nexus help ai session create",
        ) from error


class ScriptBackend:
    """Answers from a file, read anew for each answer."""

    kept = False
    agent_session: str | None = None

    def __init__(self, path: str) -> None:
        self.path = path

    async def reply(self, turns: Sequence[Turn]) -> AsyncGenerator[Chunk]:
        script = await asyncio.to_thread(read_script, self.path)
        said = [turn.content for turn in turns if turn.role == "user"]
        turn = script.turn(len(said), self.path)
        if turn.expect is not None and turn.expect != said[-1]:
            raise ScriptInvalid.because(
                f"The script {self.path} expects something else as message {len(said)}.",
                path=self.path,
                expected=turn.expect[:1000],
            )
        for piece in turn.answer:
            if piece.delay:
                await asyncio.sleep(piece.delay)
            yield piece.chunk()
        usage = turn.usage or TokenUsage()
        if usage.context_window is None:
            usage = usage.model_copy(update={"context_window": script.context_window})
        yield Usage(usage)
        yield Finish(turn.finish)

    async def aclose(self) -> None:
        """Do nothing: there is nothing open."""
