"""A session as it is stored: its object, and what made it."""

import secrets
from typing import Any

from pydantic import Field

from nexus.schemas.model import Model
from nexus.schemas.session import Session, SessionContext


class Record(Model):
    """`options` are those that it was made with, so that it can be started again."""

    session: Session
    options: dict[str, Any] = Field(default_factory=dict)
    idle_seconds: float | None = None
    expires_seconds: float | None = None

    def document(self) -> str:
        """Return the record as the file keeps it."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


def scope_of(context: SessionContext) -> str:
    """Return the context as one text: of each type one session is active in it."""
    ids = context.model_dump(by_alias=True, exclude_none=True)
    return "/".join(f"{name}={ids[name]}" for name in sorted(ids))


def new_session_id() -> str:
    """Return a fresh id."""
    return f"ses_{secrets.token_hex(10)}"
