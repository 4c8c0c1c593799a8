"""Errors of sessions and their streams."""

from nexus.schemas.errors.error import NexusError


class SessionError(NexusError):
    """A session failed."""

    type = "session"
    code = "SESSION_ERROR"
    exit_status = 8
    hint = "nexus session live list"


class SessionExpired(SessionError):
    """The session's time is over."""

    code = "SESSION_EXPIRED"
    sentence = "The session {session_id} has expired."


class SessionClosed(SessionError):
    """The session is closed."""

    code = "SESSION_CLOSED"
    sentence = "The session {session_id} is closed."


class SessionNotFound(SessionError):
    """There is no such session."""

    code = "SESSION_NOT_FOUND"
    sentence = "There is no session {session_id}."
    hint = "nexus session live list"


class SessionTypeMismatch(SessionError):
    """The session is of another type than the command wants."""

    code = "SESSION_TYPE_MISMATCH"
    sentence = "The session {session_id} is of type {actual}, and this wants {expected}."


class SessionGap(SessionError):
    """Events of the session that were asked for are not kept any more."""

    code = "SESSION_GAP"


class ConnectionLost(SessionError):
    """The connection of a session ended, and could not be made again."""

    code = "CONNECTION_LOST"
    retryable = True


class ResourceUnavailable(SessionError):
    """What the session needs is not there: a program, a key, a platform."""

    code = "RESOURCE_UNAVAILABLE"
