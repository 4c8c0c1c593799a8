"""What a server refuses, as errors of ours: as it tells them, and by its status where it tells nothing of ours."""

import json

from nexus.client.again import asked_pause
from nexus.client.way import Reply
from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import (
    AuthError,
    BackendError,
    BackendUnavailable,
    Conflict,
    NexusError,
    NotFound,
    PermissionDenied,
    RateLimited,
    ReportedError,
    ValidationError,
)

BY_STATUS: dict[int, type[NexusError]] = {
    400: ValidationError,
    403: PermissionDenied,
    409: Conflict,
    413: ValidationError,
    422: ValidationError,
}
"""Where a sentence is all that there is to tell."""


def refusal(reply: Reply, server: str) -> NexusError:
    """Return the error that an answer is."""
    wants = asked_pause(reply)
    wait_ms = None if wants is None else int(wants * 1000)
    try:
        entry = ErrorEntry.model_validate(json.loads(reply.body)["error"])
    except (ValueError, KeyError, TypeError):
        return _by_status(reply.status, server, wait_ms)
    if wait_ms is not None:
        entry.details.setdefault("retryAfterMs", wait_ms)
    return ReportedError(entry)


def _by_status(status: int, server: str, wait_ms: int | None) -> NexusError:
    if status == 401:
        return AuthError(server=server, httpStatus=status)
    if status == 404:
        return NotFound(resource="answer", reference=server, httpStatus=status, hint="nexus doctor")
    if status == 429:
        return RateLimited(retry_after_ms=wait_ms, server=server, httpStatus=status)
    said = f"{server} answered {status} and no error that can be read."
    if status in (502, 503, 504):
        return BackendUnavailable(reason=said, retry_after_ms=wait_ms, httpStatus=status)
    return BY_STATUS.get(status, BackendError).because(said, httpStatus=status)
