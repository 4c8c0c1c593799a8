"""Many commands whose sign-in has ended refresh it once, whatever the server's tokens look like."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from nexus.client.bearer import KeptBearer
from nexus.client.way import AppWay, Way
from nexus.config.profiles import Profiles
from nexus.credentials.kept import Credentials
from nexus.credentials.store import CredentialStore

SERVER = "http://team.local"


class Refreshing:
    """A server whose access tokens of one second are equal, as a signed token's are that says nothing else new."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.asked = 0

    async def __call__(
        self,
        _scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        await receive()
        self.asked += 1
        # Everybody else has by now read what is kept, and found it ended.
        await asyncio.sleep(0.05)
        tokens = {"accessToken": "same", "refreshToken": f"r{next(self.numbers)}", "expiresIn": 900, "user": "anna"}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(tokens).encode()})


async def test_equal_access_tokens_are_refreshed_once(tmp_path: Path) -> None:
    server = Refreshing()
    store = CredentialStore(tmp_path / "credentials", {})
    profiles = Profiles(tmp_path / "profiles.json")
    ended = Credentials(server=SERVER, user="anna", access_token="same", refresh_token="r0", expires_at=0)
    place = await store.keep("team", ended, "file")
    await profiles.create("team", SERVER)
    await profiles.signed_in("team", SERVER, "anna", place)

    async def connect() -> Way:
        return AppWay(server)

    bearers = [KeptBearer(store, profiles, SERVER, connect, {}) for _ in range(20)]
    assert await asyncio.gather(*(bearer.token() for bearer in bearers)) == ["same"] * 20
    assert server.asked == 1
