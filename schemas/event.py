"""The events that a streaming command prints, one canonical line of JSON each."""

from typing import Any, Literal

from nexus.schemas.model import Model, Timestamp

EventName = Literal["data", "status", "error", "interrupt", "close", "metadata"]


class Event(Model):
    """`seq` is contiguous from 1 within a session's epoch; what belongs to one reader alone has none."""

    event: EventName
    timestamp: Timestamp
    session_id: str
    seq: int | None = None
    payload: dict[str, Any]
