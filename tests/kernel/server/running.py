"""A kernel on a real port, with accounts, and clients that sign in to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.server.face import NetworkFace
from nexus.kernel.server.options import ServerOptions
from nexus.kernel.server.server import NetworkServer
from nexus.kernel.settings import KernelSettings, StepSettings
from nexus.kernel.store.store import DatabaseAddress
from tests.kernel.answers import answer

PASSWORD = "correct horse battery"
SECONDS = 30.0


@dataclass
class Running:
    """One kernel: `owner` asks as its owner, `url` is where a network reaches it, `log` what the access log says."""

    kernel: Kernel
    url: str
    owner: httpx.AsyncClient
    face: NetworkFace
    log: list[dict[str, Any]]
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, bearer: str | None = None, **headers: str) -> httpx.AsyncClient:
        """Return a client of the network's side."""
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        made = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=SECONDS, trust_env=False)
        self.clients.append(made)
        return made

    async def user(self, name: str, *roles: str, patterns: list[str] | None = None) -> dict[str, Any]:
        """Make a user with these roles, and one role of its own for the patterns; return the user."""
        granted = list(roles)
        if patterns is not None:
            granted.append(f"of-{name}")
            answer(await self.owner.post("/api/roles", json={"name": f"of-{name}", "patterns": patterns}), 201)
        return answer(
            await self.owner.post("/api/users", json={"name": name, "password": PASSWORD, "roles": granted}), 201
        )

    async def login(self, name: str) -> dict[str, Any]:
        """Sign in, and return the tokens."""
        return answer(await self.client().post("/api/auth/login", json={"name": name, "password": PASSWORD}))

    async def signed_in(self, name: str, *roles: str, patterns: list[str] | None = None) -> httpx.AsyncClient:
        """Make a user and return a client that is signed in as them."""
        await self.user(name, *roles, patterns=patterns)
        return self.client((await self.login(name))["accessToken"])


@asynccontextmanager
async def running(
    folder: Path, database: DatabaseAddress | None = None, steps: StepSettings | None = None, **options: Any
) -> AsyncIterator[Running]:
    """Open a kernel on a folder, and to the loopback."""
    settings = KernelSettings(database=database, steps=steps or StepSettings())
    kernel = await Kernel.open(folder, OneShotHost(), settings=settings)
    bounds = ServerOptions(**options)
    log: list[dict[str, Any]] = []
    face = NetworkFace(kernel.app.app, kernel.accounts.access, bounds, log.append, lambda: (1, {"sessions": 0}))
    server = NetworkServer(face, "127.0.0.1", 0, bounds)
    serving = asyncio.create_task(server.serve())
    owner = httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel")
    made = Running(kernel, server.url, owner, face, log)
    try:
        yield made
    finally:
        for client in (*made.clients, owner):
            await client.aclose()
        server.stop()
        await asyncio.wait_for(serving, SECONDS)
        await kernel.close()
