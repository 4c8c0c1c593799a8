"""A way that sends again what may be sent again: reads, and writes under an idempotency key, which are done once."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable

from nexus.client.way import SAFE_METHODS, Reply, Request, Way
from nexus.schemas.errors import BackendUnavailable, OutcomeUnknown

TRIES = 5
FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 60.0
"""A server that wants to be left alone for longer is told of, not waited for."""

HTTP_ERROR = 400
AGAIN = frozenset({429, 502, 503, 504})
"""What a server that is there for others, or will be again, answers."""


class AgainWay:
    """Around a way to a server. Between tries it waits as the server asks, else longer each time, and never in step."""

    def __init__(self, way: Way, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._to_server = way
        self._pause = pause
        self.name = way.name

    async def send(self, request: Request) -> Reply:
        """Send a request until it is answered, a few times at the most. Raises what the last try raised."""
        may = request.method in SAFE_METHODS or "idempotency-key" in request.headers
        for number in range(1, TRIES if may else 1):
            try:
                reply = await self._to_server.send(request)
            except (BackendUnavailable, OutcomeUnknown):
                await self._pause(pause_before(number))
                continue
            if _is_anothers(reply):
                await self._pause(pause_before(number))
                continue
            wants = asked_pause(reply)
            if reply.status not in AGAIN or (wants or 0.0) > LONGEST_WAIT_SECONDS or not _says_again(reply):
                return reply
            await self._pause(wants if wants is not None else pause_before(number))
        return await self._to_server.send(request)

    async def aclose(self) -> None:
        """Close the way."""
        await self._to_server.aclose()


def pause_before(number: int, random_number: Callable[[], float] = random.random) -> float:
    """Return the seconds before repetition `number`: full jitter, so that a crowd scatters."""
    return random_number() * min(LONGEST_SECONDS, FIRST_SECONDS * 2.0**number)


def asked_pause(reply: Reply) -> float | None:
    """Return the seconds that a `Retry-After` asks for, in either of its forms; None where it says nothing."""
    told = (
        next((value for name, value in reply.headers if name.lower() == b"retry-after"), b"").decode("latin-1").strip()
    )
    if not told:
        return None
    if told.isdigit():
        return float(told)
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(told)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _is_anothers(reply: Reply) -> bool:
    """Say whether somebody in between answered: a page for people is no answer of a kernel."""
    kind = next((value for name, value in reply.headers if name.lower() == b"content-type"), b"")
    return reply.status < HTTP_ERROR and bool(reply.body) and kind.lower().startswith(b"text/html")


def _says_again(reply: Reply) -> bool:
    """Say whether an answer is worth another try: one of ours says so itself, a proxy's always is."""
    try:
        retryable = json.loads(reply.body)["error"]["details"].get("retryable")
    except (ValueError, KeyError, TypeError, AttributeError):
        return True
    return bool(retryable)
