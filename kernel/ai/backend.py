"""The contract of a back end: what answers in an AI session."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from nexus.kernel.ai.chunks import Chunk, Turn
from nexus.kernel.host import Environment
from nexus.schemas.ai import Permissions


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a session's back end works, and what it may do there unasked. `agent_session` is its own name for it."""

    folder: str | None = None
    permissions: Permissions = "reject"
    agent_session: str | None = None


class AiBackend(Protocol):
    """Answers. Made for one answer, or (`kept`) for as long as the session is used."""

    kept: bool

    @property
    def agent_session(self) -> str | None:
        """What the back end calls the conversation, if it remembers it by itself."""
        ...

    def reply(self, turns: Sequence[Turn]) -> AsyncGenerator[Chunk]:
        """Answer the last turn, which is the user's. Ends behind a `Finish`, or raises an error of ours.

        Cancelling it stops the back end's work at once.
        """
        ...

    async def aclose(self) -> None:
        """Let go of everything, within seconds. Safe at any time, more than once."""
        ...


def redacted(text: str, environment: Environment, most: int = 500) -> str:
    """Return the text on one line, shortened, without any value that the environment keeps secret."""
    for name, value in environment.items():
        if len(value) >= 6 and any(word in name.upper() for word in ("KEY", "TOKEN", "SECRET", "PASSWORD")):
            text = text.replace(value, "…")
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"
