"""The one behaviour suite over every transport, against real servers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from nexus.schemas.session import NewSession
from nexus.sessions.backoff import Backoff
from nexus.sessions.client import SessionClient
from nexus.sessions.hybrid import HybridTransport
from nexus.sessions.local import LocalTransport
from nexus.sessions.polling import PollingTransport
from nexus.sessions.suite import TransportSuite, check_type
from nexus.sessions.transport import Transport
from nexus.sessions.websocket import WebSocketTransport
from tests.sessions.echo import ECHO
from tests.sessions.servers import echo_kernel, served


@dataclass
class ServedRig:
    client: SessionClient
    make: Callable[[], SessionClient]
    others: list[SessionClient] = field(default_factory=list)

    async def other_client(self) -> SessionClient:
        self.others.append(self.make())
        return self.others[-1]


WAYS = [
    "local",
    "websocket",
    "websocket-unix",
    "polling",
    "polling-unix",
    "polling-in-process",
    "polling-interval",
    "hybrid",
]
WAYS += ["hybrid-fallen-back"]


@pytest.fixture(params=WAYS)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServedRig]:
    way: str = request.param
    async with AsyncExitStack() as stack:
        kernel = await stack.enter_async_context(echo_kernel(tmp_path / "data"))
        path = tmp_path / "socket" if way.endswith("unix") else None
        port = 0 if way in ("local", "polling-in-process") else await stack.enter_async_context(served(kernel, path))
        transport = httpx.AsyncHTTPTransport(uds=str(path)) if path else None
        if way == "polling-in-process":
            transport = httpx.ASGITransport(kernel.app)
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", transport=transport)
        await stack.enter_async_context(http)

        def carrier() -> Transport:
            match way:
                case "local":
                    return LocalTransport(kernel.sessions)
                case "websocket" | "websocket-unix":
                    return WebSocketTransport(f"ws://127.0.0.1:{port}/kernel", socket=path)
                case "hybrid":
                    return HybridTransport(WebSocketTransport(f"ws://127.0.0.1:{port}/kernel"), PollingTransport(http))
                case "hybrid-fallen-back":
                    nowhere = WebSocketTransport(f"ws://127.0.0.1:{port}/no-such-route")
                    return HybridTransport(nowhere, PollingTransport(http))
                case "polling-interval":
                    return PollingTransport(http, interval=0.01)
                case _:
                    return PollingTransport(http)

        def make() -> SessionClient:
            return SessionClient(carrier(), backoff=Backoff(patience=5))

        rig = ServedRig(make(), make)
        yield rig
        for client in [rig.client, *rig.others]:
            await client.aclose()


class TestEveryTransport(TransportSuite):
    """The suite, a transport at a time."""

    async def test_the_echo_type_keeps_what_it_declares(self, rig: ServedRig) -> None:
        await check_type(rig.client, ECHO, NewSession(type="echo", options={"note": "n"}))
