"""The way to the local kernel, which stays the same object when the kernel's owner changes."""

from typing import Protocol

from nexus.client.way import AppWay, Reply, Request, Way
from nexus.schemas.errors import NexusError

OWNERS = 100
"""How many owners may go under one request; each of them ran a whole command meanwhile."""


class Opening(Protocol):
    """Who opens the kernel, or finds its owner."""

    async def reached(self) -> Way: ...

    async def forget(self, lost: Way) -> bool:
        """Drop a way that leads nowhere any more; say whether another may be found."""
        ...


class LocalWay:
    """Sends each request the way that is open now, and again when an owner has gone: commands alone come and go."""

    name = AppWay.name

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def send(self, request: Request) -> Reply:
        """Send a request. Raises what the way raises, and what opening the kernel raises."""
        for _ in range(OWNERS):
            way = await self._opening.reached()
            try:
                return await way.send(request)
            except NexusError as error:
                # A write is sent again under its idempotency key, which the kernel does once.
                if not _is_broken(error) or not await self._opening.forget(way):
                    raise
        return await (await self._opening.reached()).send(request)

    async def aclose(self) -> None:
        """Do nothing: who opened the kernel closes it."""


def _is_broken(error: NexusError) -> bool:
    from nexus.client.http import is_broken  # only a way by a socket breaks, and it has imported this

    return is_broken(error)
