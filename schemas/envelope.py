"""The envelope: what every command that does not stream prints, once, as JSON."""

import secrets
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from nexus.schemas.model import Model, Timestamp


class ErrorEntry(Model):
    """One error: `type` says who must act, `code` is stable, `details` has the hint and what the case needs."""

    type: str
    code: str
    message: str
    details: dict[str, Any] = Field(default_factory=dict)


class Envelope(Model):
    """`data` is an object on success and null on error; an error has a message and at least one entry."""

    status: Literal["ok", "error"]
    data: Any = None
    message: str | None = None
    request_id: str
    timestamp: Timestamp
    errors: list[ErrorEntry] = Field(default_factory=list)


def new_request_id() -> str:
    """Return a fresh request id: `req_` and 24 hexadecimal digits."""
    return f"req_{secrets.token_hex(12)}"


def success(data: Any, request_id: str, message: str | None = None) -> Envelope:
    """Wrap a result."""
    return Envelope(status="ok", data=data, message=message, request_id=request_id, timestamp=datetime.now(UTC))


def failure(entries: list[ErrorEntry], request_id: str) -> Envelope:
    """Wrap one error or more; the first one's message is the envelope's."""
    return Envelope(
        status="error",
        message=entries[0].message,
        request_id=request_id,
        timestamp=datetime.now(UTC),
        errors=entries,
    )
