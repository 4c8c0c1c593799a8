"""kill -9 in the middle of writes: each is whole or was never begun, and what was answered is there.

Clients of every kind of write are at work at once on a real server, which is killed as it begins a statement, again and
again on one folder. Each client knows what it was answered and what it was not; it looks for both in the next life.
"""

import asyncio
import hashlib
import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, text

from nexus.kernel.keys import Keys as Keyring
from nexus.kernel.secrets.sealing import unseal
from nexus.kernel.store.store import DatabaseAddress
from tests.kernel.answers import answer, make_chat, make_project, make_roadmap, refusal
from tests.kernel.server.running import PASSWORD, running

ROOT = Path(__file__).parents[3]
SECONDS = 60.0


class Client:
    """One who writes. `pending` is what was asked for and not answered when the server died."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.number = 0
        self.pending: Any = None

    async def check(self, api: httpx.AsyncClient) -> None:
        """Look for what was answered, and settle what was not."""

    async def step(self, api: httpx.AsyncClient) -> None:
        """Write once."""

    def kept(self, database: Connection, told: Mapping[str, int]) -> None:
        """Look at the tables, and at how often the audit chain tells of which operation, when all is over."""

    async def live(self, api: httpx.AsyncClient) -> None:
        """Check, and write until the server dies."""
        try:
            await self.check(api)
            while True:
                self.number += 1
                await self.step(api)
        except httpx.TransportError:
            return


def counted(database: Connection, table: str, where: str = "1 = 1") -> int:
    return int(database.execute(text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one())


class Registers(Client):
    """Opens accounts, and refreshes the sign-in of the last one over the lives."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self.names: list[str] = []
        self.used: list[str] = []
        self.token = given["refresh"]

    async def check(self, api: httpx.AsyncClient) -> None:
        # One that was sent and not answered is good all the same: no sign-in is lost.
        await self._refresh(api)
        if self.pending is not None:
            again = await api.post("/api/auth/register", json={"name": self.pending, "password": PASSWORD})
            assert again.status_code in (201, 409), again.text
            self._registered()
        for name in self.names[-3:]:
            assert answer(await api.get(f"/api/users/{name}"))["name"] == name

    async def step(self, api: httpx.AsyncClient) -> None:
        self.pending = f"user-{self.number}"
        answer(await api.post("/api/auth/register", json={"name": self.pending, "password": PASSWORD}), 201)
        self._registered()
        for _ in range(4):
            await self._refresh(api)

    def _registered(self) -> None:
        self.names.append(self.pending)
        self.pending = None

    async def _refresh(self, api: httpx.AsyncClient) -> None:
        told = answer(await api.post("/api/auth/refresh", json={"refreshToken": self.token}))
        self.used.append(self.token)
        self.token = told["refreshToken"]

    async def replay(self, api: httpx.AsyncClient) -> None:
        """Try an old token when all is over: it is in two hands, and ends the sign-in."""
        for _ in range(3):
            await self._refresh(api)
        for token in (self.used[-3], self.token):
            refused = await api.post("/api/auth/refresh", json={"refreshToken": token})
            refusal(refused, 401, "AUTHENTICATION_INVALID")

    def kept(self, database: Connection, told: Mapping[str, int]) -> None:
        assert counted(database, "users", "name LIKE 'user-%'") == told["settings.auth.register"] == len(self.names)


class Keys(Client):
    """Makes API keys, and takes each second one away."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self.good: list[dict[str, Any]] = []
        self.gone: list[dict[str, Any]] = []

    async def check(self, api: httpx.AsyncClient) -> None:
        if self.pending is not None:
            # It was taken away, or it was not.
            assert (await self._use(api, self.pending)) in (200, 401)
            self.pending = None
        for key, status in (*((key, 200) for key in self.good[-2:]), *((key, 401) for key in self.gone[-2:])):
            assert await self._use(api, key) == status

    async def _use(self, api: httpx.AsyncClient, key: dict[str, Any]) -> int:
        headers = {"authorization": f"Bearer {key['key']}"}
        return (await api.get("/api/auth/me", headers=headers)).status_code

    async def step(self, api: httpx.AsyncClient) -> None:
        made = answer(await api.post("/api/auth/keys", json={"name": "ci"}), 201)
        self.good.append(made)
        if self.number % 2:
            self.pending = self.good.pop()
            answer(await api.delete(f"/api/auth/keys/{made['id']}"))
            self.gone.append(self.pending)
            self.pending = None

    def kept(self, database: Connection, told: Mapping[str, int]) -> None:
        assert self.good or self.gone
        assert counted(database, "api_keys") == told["settings.auth.token"] - told["settings.key.delete"]


class Binds(Client):
    """Gives a user a role, and takes it away again. `bound` is None when the last answer did not come."""

    bound: bool | None = False

    async def check(self, api: httpx.AsyncClient) -> None:
        roles = answer(await api.get("/api/users/bound"))["roles"]
        assert self.bound in (None, "viewer" in roles)
        self.bound = "viewer" in roles

    async def step(self, api: httpx.AsyncClient) -> None:
        before, self.bound = self.bound, None
        if before:
            answer(await api.delete("/api/users/bound/roles/viewer"))
        else:
            answer(await api.post("/api/users/bound/roles", json={"role": "viewer"}))
        self.bound = not before

    def kept(self, database: Connection, told: Mapping[str, int]) -> None:
        assert told["settings.user.grant"] - told["settings.user.revoke"] == int(bool(self.bound))


class Seals(Client):
    """Gives secrets new values."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self.values: dict[str, list[str]] = {}

    async def check(self, api: httpx.AsyncClient) -> None:
        if self.pending is not None:
            name, value = self.pending
            self.values.setdefault(name, []).append(value)
            answer(await api.put(f"/api/secrets/{name}", json={"value": value}))
            self.pending = None

    async def step(self, api: httpx.AsyncClient) -> None:
        name, value = f"S{self.number % 3}", f"value {self.number}"
        self.pending = name, value
        answer(await api.put(f"/api/secrets/{name}", json={"value": value}))
        self.values.setdefault(name, []).append(value)
        self.pending = None

    def kept(self, database: Connection, told: Mapping[str, int]) -> None:
        assert database.execute(text("SELECT sum(version) FROM secrets")).scalar_one() == told["settings.secret.set"]
        key = Keyring(self.given["folder"]).key("secrets")
        for name, version, sealed in database.execute(text("SELECT name, version, sealed FROM secrets")):
            assert unseal(key, name, version, bytes(sealed)) == self.values[name][-1]


class Says(Client):
    """Says things in a chat, each under an idempotency key: what was not answered is said again under the same."""

    async def check(self, api: httpx.AsyncClient) -> None:
        if self.pending is not None:
            await self._say(api)

    async def step(self, api: httpx.AsyncClient) -> None:
        self.pending = str(self.number)
        await self._say(api)

    async def _say(self, api: httpx.AsyncClient) -> None:
        headers = {"idempotency-key": f"say {self.pending}"}
        said = await api.post(
            f"/api/chats/{self.given['chat']}/messages", json={"content": self.pending}, headers=headers
        )
        assert answer(said, 201)["content"] == self.pending
        self.pending = None

    def kept(self, database: Connection, told: Mapping[str, int]) -> None:
        messages = database.execute(text("SELECT content FROM messages ORDER BY position")).scalars()
        said = [int(content) for content in messages]
        assert said == list(range(1, len(said) + 1))
        assert told["agent.chat.send"] == len(said)
        assert counted(database, "answers", "key LIKE '%say %'") == len(said)


class Pushes(Client):
    """Pushes data sets; what was cut is begun again under its resume key."""

    async def check(self, api: httpx.AsyncClient) -> None:
        if self.pending is not None:
            await self._push(api)
        if self.number > 1:
            # The one before the last was answered, and is whole.
            await self._look(api, self.number - 1)

    async def step(self, api: httpx.AsyncClient) -> None:
        self.pending = self.number
        await self._push(api)

    async def _push(self, api: httpx.AsyncClient) -> None:
        content = content_of(self.pending)
        name = f"set-{self.pending}"
        body = {"name": name, "filename": "x", "size": len(content), "resumeKey": name}
        begun = await api.post("/api/data/datasets/uploads", json=body)
        if begun.status_code == 409:
            await self._look(api, self.pending)
        else:
            upload = answer(begun, 201)
            for part in upload["parts"]:
                assert (await api.put(part["url"], content=content)).status_code == 200
            done = {"sha256": hashlib.sha256(content).hexdigest()}
            answer(await api.post(f"/api/data/datasets/uploads/{upload['id']}/complete", json=done))
        self.pending = None

    async def _look(self, api: httpx.AsyncClient, number: int) -> None:
        [item] = answer(await api.get("/api/data/datasets", params={"name": f"set-{number}"}))["items"]
        answer(await api.post(f"/api/data/datasets/{item['id']}/verify"))

    def kept(self, database: Connection, told: Mapping[str, int]) -> None:
        made = counted(database, "datasets")
        assert made >= self.number - 1
        assert counted(database, "blobs") == made
        names = [path.name for path in (self.given["folder"] / "blobs" / "sha256").glob("*/*")]
        assert len(names) == made


class Starts(Client):
    """Starts runs, each under an idempotency key: what was not answered is started again under the same."""

    async def check(self, api: httpx.AsyncClient) -> None:
        if self.pending is not None:
            await self._start(api)

    async def step(self, api: httpx.AsyncClient) -> None:
        self.pending = self.number
        await self._start(api)

    async def _start(self, api: httpx.AsyncClient) -> None:
        headers = {"idempotency-key": f"start {self.pending}"}
        told = {"parameters": {"number": self.pending}}
        started = await api.post(f"/api/pipelines/{self.given['pipeline']}/runs", json=told, headers=headers)
        assert answer(started, 201)["parameters"] == told["parameters"]
        self.pending = None

    def kept(self, database: Connection, told: Mapping[str, int]) -> None:
        parameters = database.execute(text("SELECT parameters FROM runs ORDER BY id")).scalars()
        started = [(json.loads(each) if isinstance(each, str) else each)["number"] for each in parameters]
        assert started == list(range(1, len(started) + 1))
        assert told["pipeline.run.start"] == len(started) == counted(database, "run_steps")


def content_of(number: int) -> bytes:
    return f"content {number}".encode() * 100


class Denied(Client):
    """Asks for what it may not have: each refusal is written down before it is told."""

    refused = 0

    async def step(self, api: httpx.AsyncClient) -> None:
        headers = {"authorization": f"Bearer {self.given['nothing']}"}
        refusal(await api.post("/api/templates", json={}, headers=headers), 403, "PERMISSION_DENIED")
        self.refused += 1

    def kept(self, database: Connection, told: Mapping[str, int]) -> None:
        assert 0 < self.refused <= told["denied"]


@contextmanager
def killable(folder: Path, database: DatabaseAddress | None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.kernel.server.killable", str(folder)]
    command += [database.url] if database is not None else []
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as kernels:
        yield kernels
        kernels.communicate(timeout=SECONDS)
        assert kernels.returncode == 0


def said(kernels: subprocess.Popen[str], line: str) -> str:
    """Say a line to the kernels, and return theirs."""
    assert kernels.stdin is not None
    assert kernels.stdout is not None
    kernels.stdin.write(f"{line}\n")
    kernels.stdin.flush()
    return kernels.stdout.readline().strip()


async def prepare(folder: Path, database: DatabaseAddress | None) -> dict[str, Any]:
    """Make an admin, two users, a chat and a pipeline; return what clients need of them."""
    async with running(folder, database) as server:
        await server.user("root", "admin")
        await server.user("bound")
        await server.user("plain")
        await server.user("reader")
        chat = await make_chat(server.owner, await make_roadmap(server.owner, await make_project(server.owner)))
        keys = [
            answer(
                await server.client((await server.login(name))["accessToken"]).post(
                    "/api/auth/keys", json={"name": "all"}
                ),
                201,
            )["key"]
            for name in ("root", "plain")
        ]
        refresh = (await server.login("reader"))["refreshToken"]
        document = {"name": "p", "parameters": {"number": {"type": "integer"}}, "steps": {"say": {"run": ["echo"]}}}
        pipeline = answer(await server.owner.post("/api/pipelines", json=document), 201)["id"]
    given = {"root": keys[0], "nothing": keys[1], "refresh": refresh, "chat": chat["id"], "folder": folder}
    return {**given, "pipeline": pipeline}


async def lives(kernels: subprocess.Popen[str], clients: list[Client], root: str, kills: int) -> httpx.AsyncClient:
    """Have the clients write while kernels die; return a client of the last kernel, which lives."""
    moments = random.Random(7)
    assert kernels.stdout is not None
    headers = {"authorization": f"Bearer {root}"}
    for _ in range(kills):
        url = said(kernels, str(moments.randrange(5, 500)))
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=SECONDS, trust_env=False) as api:
            await asyncio.gather(*(client.live(api) for client in clients))
        assert int(kernels.stdout.readline()) == signal.SIGKILL
    return httpx.AsyncClient(base_url=said(kernels, "0"), headers=headers, timeout=SECONDS, trust_env=False)


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.soak)])
async def test_writes_are_whole_or_were_never_begun_and_what_was_answered_is_there(
    tmp_path: Path, database: DatabaseAddress | None, kills: int
) -> None:
    folder = tmp_path / "data"
    given = await prepare(folder, database)
    clients: list[Client] = [kind(given) for kind in (Registers, Keys, Binds, Seals, Says, Pushes, Starts, Denied)]
    with killable(folder, database) as kernels:
        async with await lives(kernels, clients, given["root"], kills) as api:
            for client in clients:
                await client.check(api)
            verdict = answer(await api.get("/api/audit/verify"))
            assert verdict["intact"], verdict
            registers = next(client for client in clients if isinstance(client, Registers))
            await registers.replay(api)
        assert said(kernels, "") == "0"
    async with running(folder, database) as server:
        await server.kernel._store.read(lambda connection: look(connection, clients))


def look(database: Connection, clients: list[Client]) -> None:
    """Look at the tables, and count what the audit chain tells of."""
    if database.dialect.name == "sqlite":
        assert database.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]
        assert database.execute(text("PRAGMA foreign_key_check")).all() == []
    told: Counter[str] = Counter()
    for record in map(json.loads, database.execute(text("SELECT record FROM audit")).scalars()):
        told[record["operation"] if record["outcome"] == "done" else record["outcome"]] += 1
    for client in clients:
        client.kept(database, told)
