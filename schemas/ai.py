"""AI chats: the back ends that answer, the sessions that they answer in, what is said, and a conversation as a file."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from nexus.schemas.chat import Role
from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.model import MOST_WHOLE, Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery
from nexus.schemas.project import Name
from nexus.schemas.session import CallerSurroundings

BackendKind = Literal["model", "agent", "script"]
BackendReference = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4200, pattern=r"^[^\x00-\x1f]+$")
]
"""`openai`, `openai:MODEL`, `claude`, `acp:COMMAND` or `script:FILE`."""

Permissions = Literal["reject", "read", "allow"]
"""What a coding agent that asks is told: no; yes to what only reads; yes."""

MessageStatus = Literal["streaming", "complete", "partial", "failed"]
MOST_CHARACTERS = 1_000_000
"""Of one message."""

KEY_VARIABLES: dict[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "ollama": ("OLLAMA_API_KEY",),
}
"""Where the keys of providers are looked for, by their names; the first one found is used."""

ADDRESS_VARIABLES: dict[str, tuple[str, ...]] = {
    "openai": ("OPENAI_BASE_URL",),
    "anthropic": ("ANTHROPIC_BASE_URL",),
    "google": ("GOOGLE_GEMINI_BASE_URL",),
    "ollama": ("OLLAMA_BASE_URL", "OLLAMA_HOST"),
}
"""Where other addresses of providers are looked for."""

AGENT_NAMES = ("claude", "codex", "gemini", "qwen", "acp")
"""Back ends that are programs: they are given the whole environment of their caller, as every program is."""


def is_the_machines(reference: str) -> bool:
    """Say whether a back end is a program, or a file, of the machine that the kernel runs on."""
    return reference.partition(":")[0] not in KEY_VARIABLES


CONVERSATION_FORMAT = "nexus-conversation"
CONVERSATION_VERSION = 1


class Backend(Model):
    """A back end as it stands for the caller. `needs` says what to set where it is not available.

    `reference` is how it is asked for: its name, with the model, command or file.
    """

    name: str
    reference: str
    kind: BackendKind
    title: str
    available: bool
    model: str | None = None
    base_url: str | None = None
    program: str | None = None
    needs: str | None = None


class BackendStatus(Backend):
    """`reachable` is null where nothing was asked: for a script, and for a program that is started with a session."""

    reachable: bool | None = None
    latency_ms: float | None = None
    detail: str | None = None


class AiSettings(StrictModel):
    """What the caller's configuration says of back ends. `models` and `base_urls` are by the back end's name."""

    backend: BackendReference | None = None
    models: dict[str, str] = Field(default_factory=dict)
    base_urls: dict[str, str] = Field(default_factory=dict)
    timeout: float = Field(default=300.0, gt=0, le=86_400)
    permissions: Permissions = "reject"
    context_window: int | None = Field(default=None, ge=1, le=MOST_WHOLE)


class AiCaller(StrictModel):
    """Whose keys and programs are used, for this one request; without `surroundings` the kernel's own are."""

    surroundings: CallerSurroundings | None = None
    settings: AiSettings = Field(default_factory=AiSettings)


class BackendQuery(StrictModel):
    """Which back end is meant; left out, the caller's configured one, else the first that is available."""

    backend: BackendReference | None = None
    caller: AiCaller = Field(default_factory=AiCaller)


class AiSession(Model):
    """A conversation with a back end. It has the id of the session that its answers stream in."""

    id: str
    name: str
    backend: str
    model: str | None = None
    workspace_path: str | None = None
    permissions: Permissions = "reject"
    message_count: int = 0
    created_at: Timestamp
    updated_at: Timestamp


class AiSessionDetails(AiSession):
    """`live` says that messages can be sent; `answering` that the back end is at it."""

    live: bool
    answering: bool


class AiSessionQuery(PageQuery):
    """`name` asks for the sessions with this exact name."""

    name: str | None = None


class AiSessionChanges(StrictModel):
    """What is left out stays as it is."""

    name: Name | None = None
    permissions: Permissions | None = None


class BackendChoice(StrictModel):
    """Another back end for a session; what was said stays."""

    backend: BackendReference
    workspace_path: str | None = Field(default=None, max_length=4096)
    caller: AiCaller = Field(default_factory=AiCaller)


class TokenUsage(Model):
    """Counted by the back end; null where it does not tell."""

    input_tokens: int | None = Field(default=None, le=MOST_WHOLE)
    output_tokens: int | None = Field(default=None, le=MOST_WHOLE)
    context_window: int | None = Field(default=None, le=MOST_WHOLE)


class AiMessage(Model):
    """One thing said. `partial` is an answer that was interrupted or broke off; `error` says why it failed."""

    id: str
    session_id: str
    role: Role
    content: str
    status: MessageStatus = "complete"
    backend: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    usage: TokenUsage | None = None
    error: ErrorEntry | None = None
    created_at: Timestamp
    finished_at: Timestamp | None = None


class AiMessageQuery(PageQuery):
    """`offset` leaves out so many of the first."""

    offset: int = Field(default=0, ge=0, le=MOST_WHOLE)


class NewAiMessage(StrictModel):
    content: str = Field(min_length=1, max_length=MOST_CHARACTERS)
    caller: AiCaller = Field(default_factory=AiCaller)


class AiMessageSent(Model):
    """What was said, and where its answer streams: in the session's `epoch`, behind `after`, as `answer_id`."""

    message: AiMessage
    answer_id: str
    epoch: int
    after: int


class RecordedMessage(StrictModel):
    """A message as a file keeps it."""

    role: Role
    content: str = Field(max_length=MOST_CHARACTERS)
    status: Literal["complete", "partial", "failed"] = "complete"
    backend: str | None = Field(default=None, max_length=4200)
    model: str | None = Field(default=None, max_length=200)
    finish_reason: str | None = Field(default=None, max_length=200)
    usage: TokenUsage | None = None
    error: ErrorEntry | None = None
    created_at: Timestamp
    finished_at: Timestamp | None = None


class RecordedSession(StrictModel):
    """The session that a file was made of."""

    name: Name
    backend: BackendReference
    model: str | None = Field(default=None, max_length=200)
    created_at: Timestamp


class Conversation(StrictModel):
    """A conversation as a file: `format` and `version` say what it is."""

    format: Literal["nexus-conversation"] = "nexus-conversation"
    version: Literal[1] = 1
    exported_at: Timestamp
    session: RecordedSession
    messages: list[RecordedMessage] = Field(max_length=100_000)


class ConversationTaken(Model):
    """The session that a conversation was taken into, and how many messages it brought."""

    session: AiSession
    messages: int
