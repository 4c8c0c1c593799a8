"""httpx's way to the local kernel, which stays the same object when the kernel's owner changes."""

from typing import Protocol

import httpx

OWNERS = 100
"""How many owners may go under one request; each of them ran a whole command meanwhile."""


class Opening(Protocol):
    """Who opens the kernel, or finds its owner."""

    async def reached(self) -> httpx.AsyncBaseTransport: ...

    async def forget(self, lost: httpx.AsyncBaseTransport) -> bool:
        """Drop a way that leads nowhere any more; say whether another may be found."""
        ...


class LocalTransport(httpx.AsyncBaseTransport):
    """Sends each request the way that is open now, and again when an owner has gone: commands alone come and go."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises what httpx raises, and what opening the kernel raises."""
        for _ in range(OWNERS):
            way = await self._opening.reached()
            try:
                return await way.handle_async_request(request)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                # A write is sent again under its idempotency key, which the kernel does once.
                if not await self._opening.forget(way):
                    raise
        return await (await self._opening.reached()).handle_async_request(request)
