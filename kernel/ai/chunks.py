"""What comes out of a back end while it answers, one type a kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nexus.schemas.ai import TokenUsage
from nexus.schemas.chat import Role


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said before, as a back end is told."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """What the back end thinks on the way; `plan` where it is a list of steps and how each stands."""

    text: str
    plan: Sequence[dict[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """The back end uses a tool. `call` names this use of it."""

    call: str
    title: str
    kind: str = "other"
    input: Any = None
    locations: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """How a tool's use goes on: pending, in_progress, completed or failed, and what came of it."""

    call: str
    status: str
    content: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """The back end asked whether it may, and was answered. `options` are (id, kind, name)."""

    call: str
    title: str
    kind: str
    allowed: bool
    policy: str
    options: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """How many tokens the conversation holds by now."""

    usage: TokenUsage


@dataclass(frozen=True, slots=True)
class Finish:
    """Why the answer ends: stop, length, refusal, … `model` is the one that answered."""

    reason: str | None
    model: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


Chunk = Token | Thought | Action | Observation | Approval | Usage | Finish
