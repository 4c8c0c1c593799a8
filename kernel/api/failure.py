"""Errors as answers: the HTTP status of each, and the body `{"error": entry}`."""

import logging
from typing import Any

import pydantic

from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import InputInvalid, InternalError, NexusError, ValidationError

STATUS_BY_TYPE: dict[str, int] = {
    "parse": 422,
    "validation": 422,
    "context": 422,
    "auth": 401,
    "permission": 403,
    "not_found": 404,
    "conflict": 409,
    "session": 409,
    "backend": 502,
    "timeout": 504,
    "interrupted": 503,
    "plugin": 500,
    "internal": 500,
}

STATUS_BY_CODE: dict[str, int] = {
    "SESSION_NOT_FOUND": 404,
    "RESOURCE_UNAVAILABLE": 503,
    "CONNECTION_LOST": 503,
    "BACKEND_UNAVAILABLE": 503,
    "VAULT_UNAVAILABLE": 503,
    "VAULT_SEALED": 503,
    "STORAGE_LOCKED": 503,
    "STORAGE_FULL": 507,
    # What was sent is not what was said; and what is kept is not what it was.
    "CHECKSUM_MISMATCH": 409,
    "RATE_LIMITED": 429,
    "REQUEST_TOO_LARGE": 413,
    "REQUEST_SLOW": 408,
    # What was asked for stands on a program, a key or a repository that there is not. The kernel is not at fault, the
    # caller is signed in, and it does not help to ask again.
    "AI_BACKEND_MISSING": 424,
    "AI_KEY_MISSING": 424,
    "AI_KEY_REFUSED": 424,
    "AI_SIGN_IN_REQUIRED": 424,
    "EXTRA_MISSING": 424,
    "GIT_FAILED": 424,
    "PROGRAM_FAILED": 424,
    "PROGRAM_MISSING": 424,
    "SCRIPT_INVALID": 424,
}
"""Where the type alone says too little."""

MOST_PROBLEMS = 20
INVALID_TOKEN = 'Bearer error="invalid_token"'  # noqa: S105 -- what RFC 6750 has a server say

log = logging.getLogger("nexus.kernel.api")


def http_status(entry: ErrorEntry) -> int:
    """Return the HTTP status that an error is answered with."""
    return STATUS_BY_CODE.get(entry.code) or STATUS_BY_TYPE.get(entry.type, 500)


def refusal_headers(entry: ErrorEntry) -> dict[str, str]:
    """Return what goes with a refusal: how to sign in, and when to come again."""
    headers = {}
    status = http_status(entry)
    if status == 401:
        headers["www-authenticate"] = "Bearer" if entry.code == "AUTHENTICATION_REQUIRED" else INVALID_TOKEN
    after = entry.details.get("retryAfterMs")
    if isinstance(after, int):
        headers["retry-after"] = str(-(-after // 1000))
    if status in (408, 413):
        # The rest of the body is not read.
        headers["connection"] = "close"
    return headers


def error_body(entry: ErrorEntry) -> bytes:
    """Return the JSON body of an error."""
    return b'{"error":' + ErrorEntry.__pydantic_serializer__.to_json(entry, by_alias=True, fallback=str) + b"}"


def entry_of(error: Exception, request_id: str, traceparent: str | None = None) -> ErrorEntry:
    """Return what is told of an error; one that nobody foresaw is logged with its traceback."""
    if isinstance(error, NexusError):
        return error.entry()
    log.error(
        "request %s failed inside", request_id, exc_info=error, extra={"requestId": request_id, "trace": traceparent}
    )
    return InternalError.because(type(error).__name__).entry()


def refused(error: pydantic.ValidationError, model: type[pydantic.BaseModel], place: str) -> NexusError:
    """Return what pydantic refused as an error of ours. `place` is query or body."""
    problems = error.errors(include_url=False, include_input=False, include_context=True)
    first = problems[0]
    if first["type"] == "json_invalid":
        return InputInvalid.because(f"The {place} is no valid JSON: {first.get('ctx', {}).get('error', first['msg'])}.")
    field = _field(first["loc"])
    details: dict[str, Any] = {"field": field, "expected": first.get("ctx", {}).get("expected")}
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        details["available"] = [info.alias or name for name, info in model.model_fields.items()]
    if len(problems) > 1:
        details["problems"] = [
            {"field": _field(problem["loc"]), "message": problem["msg"]} for problem in problems[:MOST_PROBLEMS]
        ]
    return ValidationError.because(f"{field or place}: {_sentence(first['type'], first['msg'])}", **details)


def _field(location: tuple[int | str, ...]) -> str | None:
    return ".".join(str(part) for part in location) or None


def _sentence(kind: str, message: str) -> str:
    return "there is no such field." if kind == "extra_forbidden" else f"{message[:1].lower()}{message[1:]}."
