"""What a provider's libraries raise, as errors of ours: one table, the more special classes first."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from nexus.kernel.ai.backend import redacted
from nexus.kernel.ai.catalog import Choice
from nexus.kernel.host import Environment
from nexus.schemas.errors import (
    AiBackendFailed,
    AiKeyMissing,
    AiKeyRefused,
    AiRateLimited,
    AiRequestRefused,
    NexusError,
    TimeoutExceeded,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked when it failed: the back end, the caller's environment, the seconds that were given."""

    choice: Choice
    environment: Environment
    seconds: float

    def reason(self, error: Exception) -> str:
        """Return what the error says, without secrets."""
        return redacted(_sentence(error) or type(error).__name__, self.environment).rstrip(".")


def told(error: Exception, asked: Asked) -> NexusError:
    """Return the error of ours; what the table does not know is a failure of the back end."""
    for kind, tell in _table():
        if isinstance(error, kind):
            return tell(error, asked)
    return AiBackendFailed.because(
        f"The back end {asked.choice.name} failed: {type(error).__name__}: {asked.reason(error)}.",
        backend=asked.choice.name,
    )


@cache
def _table() -> tuple[tuple[type[Exception], Callable[[Any, Asked], NexusError]], ...]:
    import httpx2
    from pydantic_ai import exceptions

    return (
        (exceptions.ModelAuthenticationError, _key),
        (exceptions.ModelRateLimitError, _limited),
        (exceptions.ModelTimeoutError, _slow),
        (exceptions.ModelRequestTimeout, _slow),
        (exceptions.ModelNotFoundError, _no_model),
        (exceptions.ModelRequestRejectedError, _refused),
        (exceptions.ModelQuotaExceededError, _refused),
        (exceptions.ModelConnectionError, _broken),
        (exceptions.ModelAPIError, _failed),
        (exceptions.UserError, _refused),
        (exceptions.UnexpectedModelBehavior, _unreadable),
        (httpx2.HTTPStatusError, _status),
        (httpx2.TimeoutException, _slow),
        (httpx2.HTTPError, _broken),
        (ValueError, _unreadable),
    )


def _key(_: Exception, asked: Asked) -> NexusError:
    kind = AiKeyRefused if asked.choice.key else AiKeyMissing
    return kind(backend=asked.choice.name, variable=asked.choice.key_variable)


def _limited(error: Any, asked: Asked) -> NexusError:
    seconds = getattr(error, "retry_after", None)
    return AiRateLimited(
        backend=asked.choice.name, retry_after_ms=None if seconds is None else round(float(seconds) * 1000)
    )


def _slow(_: Exception, asked: Asked) -> NexusError:
    return TimeoutExceeded(
        seconds=asked.seconds, backend=asked.choice.name, hint="nexus settings config set --key ai.timeout --value 600"
    )


def _no_model(error: Any, asked: Asked) -> NexusError:
    choice = asked.choice
    return AiRequestRefused.because(
        f"The back end {choice.name} at {choice.base_url} has no model {error.model_name}.",
        hint=f"nexus settings config get --key ai.{choice.name}_model",
        backend=choice.name,
        base_url=choice.base_url,
    )


def _refused(error: Exception, asked: Asked) -> NexusError:
    return AiRequestRefused.because(
        f"The back end {asked.choice.name} refused the request: {asked.reason(error)}.",
        backend=asked.choice.name,
        http_status=getattr(error, "status_code", None),
    )


def _broken(error: Exception, asked: Asked) -> NexusError:
    return AiBackendFailed.because(
        f"{asked.choice.base_url} cannot be reached, or the connection broke: {asked.reason(error)}.",
        hint=f"nexus ai backend status --backend {asked.choice.name}",
        backend=asked.choice.name,
        base_url=asked.choice.base_url,
    )


def _failed(error: Exception, asked: Asked) -> NexusError:
    return AiBackendFailed.because(
        f"The back end {asked.choice.name} failed: {asked.reason(error)}.",
        hint=f"nexus ai backend status --backend {asked.choice.name}",
        backend=asked.choice.name,
        http_status=getattr(error, "status_code", None),
    )


def _unreadable(error: Exception, asked: Asked) -> NexusError:
    return AiBackendFailed.because(
        f"The back end {asked.choice.name} answered what cannot be read: {asked.reason(error)}.",
        hint=f"nexus ai backend status --backend {asked.choice.name}",
        backend=asked.choice.name,
        base_url=asked.choice.base_url,
    )


def _status(error: Any, asked: Asked) -> NexusError:
    status = error.response.status_code
    if status in (401, 403):
        return _key(error, asked)
    if status == 429:
        return AiRateLimited(backend=asked.choice.name)
    return AiBackendFailed.because(f"{asked.choice.base_url} answered {status}.", http_status=status)


def _sentence(error: Any) -> str:
    """Return the provider's own sentence where the body of its answer has one."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    said = inner.get("message") if isinstance(inner, dict) else inner
    return said if isinstance(said, str) and said else str(error)
