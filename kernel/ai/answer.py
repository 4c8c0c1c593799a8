"""One answer on its way: from a back end into the session's log as it comes, and into the history when it ends."""

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from nexus.kernel.ai.backend import AiBackend
from nexus.kernel.ai.chunks import Chunk, Finish, Token, Turn, Usage
from nexus.kernel.ai.gather import Gathered
from nexus.kernel.ai.payloads import clean, events_of, usage_told
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.ai import MessageStatus, TokenUsage
from nexus.schemas.errors import InternalError, NexusError
from nexus.sessions import lines

logger = logging.getLogger("nexus.kernel.ai")

CHARACTERS_A_TOKEN = 4
"""About what a token is of most texts; for a guess where nobody counts."""


@dataclass(slots=True)
class Said:
    """What came of an answer so far. `text` is what the log has of it, no more and no less."""

    text: list[str] = field(default_factory=list)
    finish: Finish | None = None
    usage: TokenUsage = field(default_factory=TokenUsage)
    error: NexusError | None = None
    interrupted: bool = False

    @property
    def content(self) -> str:
        return "".join(self.text)

    @property
    def status(self) -> MessageStatus:
        if self.finish is not None and self.finish.reason is not None and self.error is None:
            return "partial" if self.finish.reason == "cancelled" else "complete"
        return "partial" if self.text or self.error is None else "failed"

    def row(self) -> dict[str, Any]:
        """Return what the history keeps."""
        error = None if self.error is None else self.error.entry().model_dump(mode="json", by_alias=True)
        return {
            "content": self.content,
            "status": self.status,
            "finish_reason": "interrupted" if self.interrupted else self.finish.reason if self.finish else None,
            "model": self.finish.model if self.finish else None,
            "usage": self.usage.model_dump(mode="json", by_alias=True),
            "error": error,
        }


class Answer:
    """Generates one answer. `interrupt` stops it at once; `run` ends when all of it is in the log."""

    def __init__(self, answer_id: str, output: SessionOutput, backend: AiBackend, seconds: float) -> None:
        self.id = answer_id
        self.said = Said()
        self._output = output
        self._backend = backend
        self._seconds = seconds
        self._coming: Gathered | None = None

    async def run(self, turns: Sequence[Turn]) -> None:
        """Write the answer into the log as it comes; how it ended stands in `said`. Raises only what the log does."""
        if not self.said.interrupted:
            self._coming = Gathered(self._backend.reply(turns), self._seconds)
            try:
                await self._take(self._coming)
                await self._end(turns)
            finally:
                await self._coming.aclose()
        else:
            await self._end(turns)

    def interrupt(self) -> None:
        """Stop now; what came by now is kept."""
        if self.said.finish is None:
            self.said.interrupted = True
        if self._coming is not None:
            self._coming.stop()

    async def _take(self, coming: Gathered) -> None:
        try:
            async for batch in coming:
                await self._write(batch)
        except Exception as error:  # noqa: BLE001 -- whatever a back end raises is told in the session
            self.said.error = self._told(error)

    async def _write(self, batch: Sequence[Chunk]) -> None:
        batch = [Token(clean(chunk.text)) if isinstance(chunk, Token) else chunk for chunk in batch]
        for event, payloads in events_of(batch, self.id):
            await self._output.append(payloads, event=event)
        for chunk in batch:
            if isinstance(chunk, Token):
                self.said.text.append(chunk.text)
            elif isinstance(chunk, Usage):
                known = chunk.usage.model_dump(by_alias=False, exclude_none=True)
                self.said.usage = self.said.usage.model_copy(update=known)
            elif isinstance(chunk, Finish):
                self.said.finish = chunk

    async def _end(self, turns: Sequence[Turn]) -> None:
        if self.said.error is not None:
            await self._output.error(self.said.error)
        await self._output.append([lines.ai_token("", self.id, final=True)])
        await self._output.append([lines.payload(self._told_last(turns))], event="metadata")

    def _told(self, error: Exception) -> NexusError:
        if isinstance(error, NexusError):
            return error
        logger.error("an answer failed inside", exc_info=error)
        return InternalError.because(type(error).__name__)

    def _told_last(self, turns: Sequence[Turn]) -> dict[str, Any]:
        said = self.said
        characters = sum(len(turn.content) for turn in turns) + len(said.content)
        told = usage_told(said.usage, self.id, estimate=-(-characters // CHARACTERS_A_TOKEN))
        row = said.row()
        return {**told, "status": said.status, "finishReason": row["finish_reason"], "model": row["model"]}


def text_in(lines_of_log: bytes, answer_id: str) -> str:
    """Return an answer's text as the log has it: for one that was cut off with its process."""
    found = []
    for line in lines_of_log.splitlines():
        if b'"ai-token"' not in line:
            continue
        with suppress(ValueError, KeyError, TypeError):
            payload = json.loads(line)["payload"]
            if payload["type"] == "ai-token" and payload["messageId"] == answer_id:
                found.append(payload["content"])
    return "".join(found)
