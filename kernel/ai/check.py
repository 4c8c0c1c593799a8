"""Whether a back end answers: asked now, within seconds, without saying anything to a model."""

import asyncio
import time

from nexus.kernel.ai.backend import redacted
from nexus.kernel.ai.catalog import Choice
from nexus.kernel.ai.script import read_script
from nexus.schemas.ai import BackendStatus
from nexus.schemas.session import CallerSurroundings
from nexus.sessions.outbound import CONNECT_SECONDS, Outbound

MOST_SECONDS = 15.0


async def checked(choice: Choice, surroundings: CallerSurroundings, seconds: float) -> BackendStatus:
    """Return the back end with whether it is reachable. Raises `ScriptInvalid` for a script that cannot be used."""
    told = dict(choice.told())
    if choice.kind == "script":
        script = await asyncio.to_thread(read_script, choice.path or "")
        return BackendStatus(**told, detail=f"{len(script.turns)} turns")
    if choice.kind == "agent":
        return BackendStatus(**told, detail="It is started with a session's first message.")
    return await _asked(choice, told, surroundings, min(seconds, MOST_SECONDS))


async def _asked(
    choice: Choice, told: dict[str, object], surroundings: CallerSurroundings, seconds: float
) -> BackendStatus:
    import httpx

    url = choice.base_url or ""
    outbound = Outbound.of(surroundings.environment)
    verify = await asyncio.to_thread(outbound.certificates, url) or True
    timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
    begun = time.monotonic()
    try:
        async with httpx.AsyncClient(
            timeout=timeout, trust_env=False, proxy=outbound.proxy(url), verify=verify
        ) as client:
            response = await client.get(_models_url(choice), headers=_headers(choice))
    except httpx.HTTPError as error:
        reason = redacted(str(error) or type(error).__name__, surroundings.environment)
        return BackendStatus.model_validate({**told, "available": False, "reachable": False, "detail": reason})
    latency = round((time.monotonic() - begun) * 1000, 1)
    refused = response.status_code in (401, 403)
    detail = f"It does not take the key in {choice.key_variable}." if refused else f"It answers {response.status_code}."
    usable = response.is_success
    return BackendStatus.model_validate(
        {**told, "available": usable, "reachable": True, "latency_ms": latency, "detail": detail}
    )


def _models_url(choice: Choice) -> str:
    base = (choice.base_url or "").rstrip("/")
    if choice.name == "anthropic":
        return f"{base}/v1/models"
    return f"{base}/v1beta/models" if choice.name == "google" else f"{base}/models"


def _headers(choice: Choice) -> dict[str, str]:
    key = choice.key
    if key is None:
        return {}
    if choice.name == "anthropic":
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return {"x-goog-api-key": key} if choice.name == "google" else {"authorization": f"Bearer {key}"}
