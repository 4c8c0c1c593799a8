"""The session that a command works in: the one that was named, or the one selected, if it is of the right type."""

from collections.abc import Mapping

from nexus.schemas.command import ApiClient, CommandSpec, GlobalFlags
from nexus.schemas.errors import (
    NexusError,
    SessionClosed,
    SessionError,
    SessionExpired,
    SessionNotFound,
    SessionTypeMismatch,
)
from nexus.schemas.session import Session


async def session_of(
    spec: CommandSpec, flags: GlobalFlags, environment: Mapping[str, str], api: ApiClient, *, resumed: bool = False
) -> Session | None:
    """Return the session that `--session-id` or NEXUS_SESSION_ID names, checked; None when neither does.

    A command that is `resumed` may find it ended since: its end is what is still to print.
    Raises `SessionNotFound`, `SessionExpired`, `SessionClosed`, `SessionTypeMismatch`.
    """
    named = flags.session_id or environment.get("NEXUS_SESSION_ID")
    if spec.session_type is None or not named:
        return None
    try:
        session = await api.get("/api/sessions/{id}", Session, at={"id": named})
    except NexusError as error:
        if error.entry().type == "not_found":
            raise SessionNotFound(session_id=named[:200]) from error
        raise
    if not resumed:
        _check(session, spec.session_type)
    return session


def _check(session: Session, wanted: str) -> None:
    fault: SessionError | None = None
    if session.type != wanted:
        fault = SessionTypeMismatch(session_id=session.session_id, actual=session.type, expected=wanted)
    elif session.status == "closed":
        fault = SessionClosed(session_id=session.session_id)
    elif session.status == "error":
        fault = SessionExpired(session_id=session.session_id)
    if fault is not None:
        raise fault
