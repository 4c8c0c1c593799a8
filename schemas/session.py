"""The session object of the Session ABI."""

from typing import Any, Literal

from pydantic import Field

from nexus.schemas.model import Model, Timestamp

TransportName = Literal["websocket", "polling", "hybrid", "local"]
SessionStatus = Literal["active", "paused", "closed", "error"]


class SessionContext(Model):
    """What the session belongs to."""

    project_id: str | None = None
    roadmap_id: str | None = None
    chat_id: str | None = None
    process_id: str | None = None
    server_id: str | None = None
    run_id: str | None = None


class Capabilities(Model):
    """What may be done with the session."""

    send: bool = False
    receive: bool = False
    interrupt: bool = False
    resize: bool = False
    close: bool = False
    restart: bool = False
    stream: bool = False


class Session(Model):
    """A live or ended session. `type` is open: plugins add types."""

    session_id: str
    type: str
    created_at: Timestamp
    expires_at: Timestamp | None = None
    context: SessionContext = Field(default_factory=SessionContext)
    transport: TransportName
    status: SessionStatus = "active"
    capabilities: Capabilities = Field(default_factory=Capabilities)
    metadata: dict[str, Any] = Field(default_factory=dict)
