"""What a coding agent tells on the way, as chunks; and the answer to what it asks, by the session's policy."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nexus.kernel.ai.chunks import Action, Approval, Chunk, Observation, Thought, Token, Usage
from nexus.schemas.ai import Permissions, TokenUsage

if TYPE_CHECKING:
    from acp.schema import PermissionOption, RequestPermissionResponse, ToolCallUpdate

READING = frozenset({"read", "search", "think"})
"""Kinds of tools that change nothing."""

FINISH = {
    "end_turn": "stop",
    "max_tokens": "length",
    "max_turn_requests": "max_turns",
    "refusal": "refusal",
    "cancelled": "cancelled",
}
MOST_WAITING = 1000
"""So many chunks may wait to be taken; then the agent is not read."""


class AgentListener:
    """The client's side of the protocol: takes updates and answers permissions, nothing else.

    Files and terminals are not offered: an agent uses its own, in its folder, under its own rules.
    """

    def __init__(self, permissions: Permissions, room: asyncio.Event) -> None:
        self.chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
        self.listening = False
        """Off while an earlier conversation is told again."""
        self._permissions = permissions
        self._room = room

    async def take(self) -> Chunk | None:
        """Return the next chunk; None when `finish` was called behind it."""
        chunk = await self.chunks.get()
        if self.chunks.qsize() < MOST_WAITING // 2:
            self._room.set()
        return chunk

    def begin(self) -> None:
        """Forget what came too late, and listen."""
        while not self.chunks.empty():
            self.chunks.get_nowait()
        self._room.set()
        self.listening = True

    def finish(self) -> None:
        """Mark the end of one answer."""
        self.listening = False
        self.chunks.put_nowait(None)

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:  # noqa: ARG002 -- the protocol's signature
        if not self.listening:
            return
        for chunk in chunks_of(update):
            self._put(chunk)

    async def request_permission(
        self,
        session_id: str,  # noqa: ARG002 -- the protocol's signature
        tool_call: "ToolCallUpdate",
        options: "list[PermissionOption]",
        **_: Any,
    ) -> "RequestPermissionResponse":
        from acp.schema import AllowedOutcome, DeniedOutcome, RequestPermissionResponse

        kind = tool_call.kind or "other"
        allowed = self._permissions == "allow" or (self._permissions == "read" and kind in READING)
        chosen = _option(options, "allow_once" if allowed else "reject_once")
        self._put(
            Approval(
                call=tool_call.tool_call_id,
                title=tool_call.title or "",
                kind=kind,
                allowed=allowed and chosen is not None,
                policy=self._permissions,
                options=[(option.option_id, option.kind, option.name) for option in options],
            )
        )
        if chosen is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=chosen))

    def _put(self, chunk: Chunk) -> None:
        self.chunks.put_nowait(chunk)
        if self.chunks.qsize() >= MOST_WAITING:
            self._room.clear()


def _option(options: "Sequence[PermissionOption]", kind: str) -> str | None:
    """Return the option of a kind. What would hold for ever is never chosen for the user."""
    return next((option.option_id for option in options if option.kind == kind), None)


def chunks_of(update: Any) -> Iterator[Chunk]:
    """Yield what an update says, as chunks."""
    from acp import schema

    match update:
        case schema.AgentMessageChunk(content=schema.TextContentBlock(text=text)) if text:
            yield Token(text)
        case schema.AgentThoughtChunk(content=schema.TextContentBlock(text=text)) if text:
            yield Thought(text)
        case schema.ToolCallStart():
            places = [location.path for location in update.locations or ()]
            yield Action(update.tool_call_id, update.title, update.kind or "other", update.raw_input, places)
            if update.status in ("completed", "failed"):
                yield Observation(update.tool_call_id, update.status, _text(update.content))
        case schema.ToolCallProgress():
            if update.status is not None or update.content:
                yield Observation(update.tool_call_id, update.status or "in_progress", _text(update.content))
        case schema.AgentPlanUpdate():
            yield Thought("", [{"content": entry.content, "status": entry.status} for entry in update.entries])
        case schema.UsageUpdate():
            yield Usage(TokenUsage(input_tokens=update.used, context_window=update.size or None))


def _text(contents: Sequence[Any] | None) -> str:
    """Return the text of a tool's contents; of a changed file its path."""
    parts = []
    for content in contents or ():
        if content.type == "content" and content.content.type == "text":
            parts.append(content.content.text)
        elif content.type == "diff":
            parts.append(f"changed {content.path}")
    return "\n".join(parts)
