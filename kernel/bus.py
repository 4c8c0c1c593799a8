"""The event bus: a part tells what happened, and whoever wants to know hears it. Parts do not call each other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Event = TypeVar("Event")

DELIVERY_SECONDS = 10.0
"""How long a teller waits for those who hear."""

log = logging.getLogger("nexus.kernel.bus")


class Bus:
    """Events by their class. What a subscriber raises is logged, and is neither the teller's nor another's matter."""

    def __init__(self) -> None:
        self._subscribers: dict[type[Any], list[Callable[[Any], Awaitable[None]]]] = {}

    def subscribe(self, kind: type[Event], hear: Callable[[Event], Awaitable[None]]) -> None:
        """Have `hear` called with every event of exactly this class, for as long as the kernel runs."""
        self._subscribers.setdefault(kind, []).append(hear)

    async def publish(self, event: object) -> None:
        """Tell an event; return when all have heard it. Who takes longer than `DELIVERY_SECONDS` is cancelled."""
        await asyncio.gather(*(_deliver(hear, event) for hear in self._subscribers.get(type(event), ())))


async def _deliver(hear: Callable[[Any], Awaitable[None]], event: object) -> None:
    try:
        async with asyncio.timeout(DELIVERY_SECONDS):
            await hear(event)
    except Exception:
        log.exception("a subscriber failed to hear %r", event)
