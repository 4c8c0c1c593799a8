"""The health of servers: each asked over HTTP, bounded in time and bytes; what it answered is kept for a while."""

import asyncio
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nexus.schemas.network import ServerState

if TYPE_CHECKING:
    import httpx

PROBE_SECONDS = 2.0
SLOW_MS = 1000.0
"""A server that takes longer than this to say that it is well is degraded."""
MOST_ANSWER_BYTES = 64 * 1024
MOST_AT_ONCE = 100
WELL = frozenset({"ok", "healthy", "up", "pass", "running", "online"})
"""What servers call it when they are well, the health+json draft's `pass` among them."""
MOST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Target:
    """A server to ask."""

    id: str
    url: str
    path: str

    @property
    def address(self) -> str:
        return self.url.rstrip("/") + self.path


@dataclass(frozen=True, slots=True)
class Health:
    """How a server answered. `latency_ms` is null when it did not; `error` says why it is not online."""

    status: ServerState
    checked_at: datetime
    latency_ms: float | None = None
    http_status: int | None = None
    version: str | None = None
    error: str | None = None


class HealthProbes:
    """Asks servers, many at a time, each at most once at a time."""

    def __init__(self) -> None:
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._kept: dict[Target, tuple[float, Health]] = {}
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._turns: dict[Target, asyncio.Task[Health]] = {}

    def known(self, target: Target) -> Health | None:
        """Return the last answer of a server, however old; None when it was never asked."""
        kept = self._kept.get(target)
        return kept[1] if kept else None

    async def of(self, targets: Iterable[Target], *, within: float) -> dict[str, Health]:
        """Return the health of servers by their ids; answers older than `within` seconds are asked for anew."""
        wanted = list(targets)
        now = time.monotonic()
        old = [each for each in wanted if now - self._kept.get(each, (float("-inf"),))[0] > within]
        await asyncio.gather(*(self.ask(target) for target in old))
        return {target.id: self._kept[target][1] for target in wanted}

    async def ask(self, target: Target) -> Health:
        """Ask a server now. Who asks while it is being asked shares the answer; who leaves takes it from nobody."""
        task = self._turns.get(target)
        if task is None:
            task = self._turns[target] = asyncio.create_task(self._ask(target))
            task.add_done_callback(lambda _: self._turns.pop(target, None))
        return await asyncio.shield(task)

    def forget(self, server_id: str) -> None:
        """Drop what is known of a server that is gone or elsewhere."""
        for target in [target for target in self._kept if target.id == server_id]:
            del self._kept[target]

    async def close(self) -> None:
        """End what is under way and close every connection."""
        tasks = list(self._turns.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _ask(self, target: Target) -> Health:
        async with self._slots:
            health = await self._probe(target)
        self._kept[target] = time.monotonic(), health
        return health

    async def _probe(self, target: Target) -> Health:
        import httpx

        began = time.perf_counter()
        try:
            client = await self._client(target.url)
            async with asyncio.timeout(PROBE_SECONDS), client.stream("GET", target.address) as response:
                latency = round((time.perf_counter() - began) * 1000, 3)
                body = await _body(response)
        except TimeoutError:
            return _offline(f"No answer within {PROBE_SECONDS:g} seconds.")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            # The last two are a resolver's for a name that cannot be one: no server may break the list of all.
            return _offline(_text(_reason(error)))
        return judged(response.status_code, body, latency)

    async def _client(self, url: str) -> "httpx.AsyncClient":
        """Return the client for the URL's scheme: certificates are read only when a server has one to check."""
        import httpx

        secure = url.startswith("https:")
        if secure not in self._clients:
            # Reading the certificates takes up to 50 ms: not on the event loop.
            verify = await asyncio.to_thread(httpx.create_ssl_context) if secure else False
            if secure not in self._clients:
                self._clients[secure] = httpx.AsyncClient(
                    verify=verify,
                    trust_env=False,
                    follow_redirects=False,
                    timeout=PROBE_SECONDS,
                    headers={"accept": "application/json", "user-agent": "nexus"},
                    # A connection that was kept may have died since: a server that is well would seem to be gone.
                    limits=httpx.Limits(max_connections=MOST_AT_ONCE, max_keepalive_connections=0),
                )
        return self._clients[secure]


def judged(http_status: int, body: bytes, latency_ms: float) -> Health:
    """Say what an answer means: 2xx and well is online, slow or anything else is degraded."""
    told = _object(body)
    word = told.get("status")
    version = told.get("version")
    error = None
    if not 200 <= http_status < 300:
        error = f"It answers HTTP {http_status}."
    elif isinstance(word, str) and word.lower() not in WELL:
        error = f"It says that it is {_text(word)!r}."
    elif latency_ms > SLOW_MS:
        error = f"It took {latency_ms:.0f} ms to answer."
    return Health(
        status="degraded" if error else "online",
        checked_at=datetime.now(UTC),
        latency_ms=latency_ms,
        http_status=http_status,
        version=_text(version) if isinstance(version, str) else None,
        error=error,
    )


def _offline(error: str) -> Health:
    return Health(status="offline", checked_at=datetime.now(UTC), error=error)


def _reason(error: BaseException) -> str:
    """Return what the system said, where it said something: httpx tells only that all attempts failed."""
    told = str(error) or type(error).__name__
    below: BaseException | None = error
    for _ in range(8):
        if below is None:
            break
        if isinstance(below, ConnectionError) or type(below) is OSError:
            # asyncio puts words of its own in the place of the system's.
            told = os.strerror(below.errno) if below.errno else told
        elif isinstance(below, OSError) and below.strerror:
            told = below.strerror
        below = below.__cause__ or below.__context__
    return told


async def _body(response: "httpx.Response") -> bytes:
    """Read the answer, or as much of it as is ever looked at."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MOST_ANSWER_BYTES:
            break
    return bytes(body[:MOST_ANSWER_BYTES])


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _text(text: str) -> str:
    """Return another's text as one printable line of bounded length."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: MOST_TEXT * 2])
    return " ".join(line.split())[:MOST_TEXT]
