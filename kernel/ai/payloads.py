"""Chunks as events of the session: which event each is, and its payload."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from nexus.kernel.ai.chunks import Action, Approval, Chunk, Finish, Observation, Thought, Token, Usage
from nexus.schemas.ai import TokenUsage
from nexus.schemas.event import EventName
from nexus.sessions import lines

PIECE = 100_000
"""Characters of one event at the most: JSON may take six bytes for each, and an event holds a million."""


def events_of(chunks: Iterable[Chunk], message_id: str) -> Iterator[tuple[EventName, list[str]]]:
    """Yield runs of one event's name and their payloads, in order."""
    told = ((_event(chunk), payload) for chunk in chunks for payload in _payloads(chunk, message_id))
    for event, run in groupby(told, lambda each: each[0]):
        yield event, [payload for _, payload in run]


def clean(text: str) -> str:
    """Return the text as UTF-8 can hold it: half a character becomes U+FFFD."""
    return lines.utf8(text).decode()


def usage_told(usage: TokenUsage, message_id: str, *, estimate: int | None = None) -> dict[str, Any]:
    """Return the metadata of tokens: counted, or (`estimated`) guessed from the text's length."""
    known = usage.input_tokens is not None or usage.output_tokens is not None
    count = (usage.input_tokens or 0) + (usage.output_tokens or 0) if known else estimate
    window = usage.context_window
    remaining = max(0, window - count) if window is not None and count is not None else None
    told = {"messageId": message_id, "tokenCount": count, "contextWindow": window, "remainingTokens": remaining}
    return told if known or count is None else {**told, "estimated": True}


def _event(chunk: Chunk) -> EventName:
    return "metadata" if isinstance(chunk, Usage) else "data"


def _payloads(chunk: Chunk, message_id: str) -> Iterator[str]:
    match chunk:
        case Token(text):
            yield from (lines.ai_token(piece, message_id) for piece in _pieces(text))
        case Thought(text, plan):
            for piece in _pieces(text) or [""]:
                shown = {"plan": list(plan)[:1000]} if plan else {}
                yield _payload("agent-thought", message_id, content=piece, **shown)
        case Action():
            known = {"callId": chunk.call, "title": chunk.title[:PIECE], "kind": chunk.kind}
            yield _payload(
                "agent-action", message_id, **known, input=_input(chunk.input), locations=list(chunk.locations)[:1000]
            )
        case Observation(call, status, content):
            told = {"callId": call, "status": status, "content": content[:PIECE]}
            yield _payload("agent-observation", message_id, **told, truncated=len(content) > PIECE)
        case Approval():
            yield _payload(
                "approval-required",
                message_id,
                callId=chunk.call,
                title=chunk.title[:PIECE],
                kind=chunk.kind,
                answer="allowed" if chunk.allowed else "rejected",
                policy=chunk.policy,
                options=[{"id": key, "kind": kind, "name": name} for key, kind, name in chunk.options[:100]],
            )
        case Usage(usage):
            yield lines.payload(usage_told(usage, message_id))
        case Finish():
            return


def _payload(event: str, message_id: str, /, **told: Any) -> str:
    return lines.payload({"type": event, "messageId": message_id, **told})


def _input(given: Any) -> Any:
    """Return a tool's input as JSON can hold it, not without bound."""
    try:
        written = lines.payload({"input": given})
    except (TypeError, ValueError):
        return str(given)[:PIECE]
    return given if len(written) <= PIECE else written[:PIECE]


def _pieces(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
