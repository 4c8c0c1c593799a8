"""What a command lends its back end: keys and addresses from its environment, all of it for a program."""

from typing import Any

from nexus.handlers.places import absolute
from nexus.handlers.surroundings import surroundings_of
from nexus.schemas.ai import ADDRESS_VARIABLES, AGENT_NAMES, KEY_VARIABLES, AiCaller, AiSettings
from nexus.schemas.command import ExecutionContext
from nexus.schemas.errors import (
    AiBackendFailed,
    AiBackendMissing,
    AiKeyMissing,
    AiKeyRefused,
    AiRateLimited,
    AiRequestRefused,
    AiSignInRequired,
    Conflict,
    ExtraMissing,
    NexusError,
    ProgramMissing,
    ScriptInvalid,
    TimeoutExceeded,
)

BACKEND_ERRORS: tuple[type[NexusError], ...] = (AiBackendMissing, AiKeyMissing, ProgramMissing, ScriptInvalid)
"""Any command that needs a back end to be there."""

ANSWER_ERRORS: tuple[type[NexusError], ...] = (
    *BACKEND_ERRORS,
    AiBackendFailed,
    AiKeyRefused,
    AiRateLimited,
    AiRequestRefused,
    AiSignInRequired,
    Conflict,
    ExtraMissing,
    TimeoutExceeded,
)
"""Any command that has a back end answer."""

PROVIDERS = tuple(KEY_VARIABLES)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
LENT = frozenset(
    (
        *(name for names in (*KEY_VARIABLES.values(), *ADDRESS_VARIABLES.values()) for name in names),
        *_PROXIES,
        *(name.lower() for name in _PROXIES),
        "SSL_CERT_FILE",
        "PATH",
        "HOME",
    )
)
"""The variables that a model's back end, or a look at what there is, can need."""


def caller_of(context: ExecutionContext[Any], backend: str | None = None) -> AiCaller:
    """Return what the back end may use. A server of another machine uses its own keys and programs."""
    settings = settings_of(context)
    if context.config.get("server.url").value is not None:
        return AiCaller(settings=settings)
    surroundings = surroundings_of(context)
    if not is_agent(backend):
        lent = {name: value for name, value in surroundings.environment.items() if name in LENT}
        surroundings = surroundings.model_copy(update={"environment": lent})
    return AiCaller(surroundings=surroundings, settings=settings)


def settings_of(context: ExecutionContext[Any]) -> AiSettings:
    """Return what the configuration says of back ends."""
    told = {value.key.removeprefix("ai."): value.value for value in context.config.all("ai")}
    return AiSettings(
        backend=told["backend"],
        models={name: told[f"{name}_model"] for name in PROVIDERS if told[f"{name}_model"]},
        base_urls={name: told[f"{name}_base_url"] for name in PROVIDERS if told[f"{name}_base_url"]},
        timeout=told["timeout"],
        permissions=told["permissions"],
        context_window=told["context_window"],
    )


def is_agent(backend: str | None) -> bool:
    """Say whether a back end is a program."""
    return backend is not None and backend.partition(":")[0] in AGENT_NAMES


def meant(context: ExecutionContext[Any], backend: str | None) -> str | None:
    """Return a back end as the kernel takes it: a script's path is one where the caller stands."""
    name, colon, path = (backend or "").partition(":")
    if name == "script" and path:
        return f"script{colon}{absolute(path, context.cwd, context.environment)}"
    return backend
