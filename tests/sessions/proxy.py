"""A TCP proxy that breaks connections where it is told: after so many bytes one way or the other."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Budget = Callable[[], float]


def never() -> float:
    return float("inf")


@dataclass
class Proxy:
    """`down` and `up` are asked at each connection how many bytes it may carry to the client and to the server."""

    target: int
    down: Budget = never
    up: Budget = never
    port: int = 0
    connections: int = 0
    carried_down: int = 0
    carried_up: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.target)
        ways = [
            asyncio.create_task(self._carry(upstream_reader, writer, self.down(), "carried_down")),
            asyncio.create_task(self._carry(reader, upstream_writer, self.up(), "carried_up")),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            # Cut, not closed: what was on its way is lost, as with a cable.
            for end in (writer, upstream_writer):
                end.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: float, counter: str
    ) -> None:
        with suppress(ConnectionError):
            while budget > 0 and (data := await reader.read(65536)):
                part = data if len(data) <= budget else data[: int(budget)]
                budget -= len(data)
                writer.write(part)
                await writer.drain()
                setattr(self, counter, getattr(self, counter) + len(part))
                if budget <= 0:
                    # The part arrives before the cut.
                    await asyncio.sleep(0)


@asynccontextmanager
async def proxied(target: int) -> AsyncIterator[Proxy]:
    """Put a proxy before a port."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(proxy.tasks):
            task.cancel()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)


def once(budget: float) -> Budget:
    """Cut the first connection after so many bytes, and none behind it."""
    budgets = iter([budget])
    return lambda: next(budgets, float("inf"))


def at_random(seed: int, most: int) -> Budget:
    """Cut every connection somewhere."""
    source = random.Random(seed)
    return lambda: source.randrange(1, most)
