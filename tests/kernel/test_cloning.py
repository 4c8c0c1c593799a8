"""Cloning ends with whoever wanted it: cancelled, left, or too slow, no git goes on and nothing is left."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import uvicorn

from nexus.kernel.git.address import parse_address
from nexus.kernel.git.clone import clone
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel, least_environment
from nexus.schemas.errors import GitFailed, TimeoutExceeded
from tests.kernel.answers import answer, refusal

PATIENCE = 20


class SilentServer:
    """A server that takes connections and says nothing."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected.set()
        with suppress(ConnectionError):
            while await reader.read(4096):
                continue
        self.left.set()
        writer.close()


@pytest.fixture
async def silent() -> AsyncIterator[SilentServer]:
    server = SilentServer()
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        server.address = f"git://127.0.0.1:{listening.sockets[0].getsockname()[1]}/x"
        yield server


async def within(waiting: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await waiting.wait()


async def test_a_cancelled_request_ends_its_clone(
    api: httpx.AsyncClient, silent: SilentServer, data_folder: Path
) -> None:
    creating = asyncio.create_task(api.post("/api/projects", json={"name": "X", "gitUrl": silent.address}))
    await within(silent.connected)
    creating.cancel()
    with suppress(asyncio.CancelledError):
        await creating
    await within(silent.left)
    assert os.listdir(data_folder / "projects") == []
    answer(await api.post("/api/projects", json={"name": "X"}), 201)


async def test_a_client_that_leaves_ends_its_clone(
    kernel: Kernel, silent: SilentServer, tmp_path: Path, data_folder: Path
) -> None:
    place = os.path.relpath(tmp_path / "kernel.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        server = uvicorn.Server(uvicorn.Config(kernel.app, lifespan="off", log_level="error"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        transport = httpx.AsyncHTTPTransport(uds=place)
        async with httpx.AsyncClient(transport=transport, base_url="http://kernel", timeout=PATIENCE) as api:
            answer(await api.get("/health"))
            headed = await api.head("/api/projects")
            assert (headed.status_code, headed.content) == (200, b"")
            body = {"name": "X", "gitUrl": silent.address}
            leaving = asyncio.create_task(api.post("/api/projects", json=body, headers={"idempotency-key": "idk_left"}))
            await within(silent.connected)
            leaving.cancel()
            await within(silent.left)
            # The key is free again: the same request runs anew, and is not answered from the one that was left.
            silent.connected.clear()
            again = asyncio.create_task(api.post("/api/projects", json=body, headers={"idempotency-key": "idk_left"}))
            await within(silent.connected)
            again.cancel()
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await serving
    assert [name for name in os.listdir(data_folder / "projects") if not name.startswith(".")] == []


async def test_a_clone_that_takes_too_long_is_ended(silent: SilentServer, tmp_path: Path) -> None:
    with pytest.raises(TimeoutExceeded):
        await clone(parse_address(silent.address), tmp_path / "clone", least_environment(), seconds=0.3)
    await within(silent.left)
    assert os.listdir(tmp_path) == []


async def test_a_password_reaches_neither_the_command_line_nor_an_error(tmp_path: Path) -> None:
    address = parse_address("https://user:s3%40cret@127.0.0.1:1/x.git")
    assert address.url == "https://127.0.0.1:1/x.git"
    assert address.config == {"http.https://127.0.0.1:1/.extraHeader": "Authorization: Basic dXNlcjpzM0BjcmV0"}
    with pytest.raises(GitFailed) as refused:
        await clone(address, tmp_path / "clone", least_environment())
    assert "s3" not in str(refused.value.entry())


async def test_what_was_half_cloned_when_the_kernel_died_is_cleared_away(
    data_folder: Path,
) -> None:
    kept = data_folder / "projects" / "prj_kept"
    for folder in (kept, data_folder / "projects" / ".incoming-prj_x" / "objects"):
        folder.mkdir(parents=True)
    kernel = await Kernel.open(data_folder, OneShotHost())
    await kernel.close()
    assert os.listdir(data_folder / "projects") == ["prj_kept"]


async def test_a_name_that_is_taken_is_told_before_anything_is_cloned(
    api: httpx.AsyncClient, silent: SilentServer
) -> None:
    answer(await api.post("/api/projects", json={"name": "X"}), 201)
    refused = await api.post("/api/projects", json={"name": "X", "gitUrl": silent.address})
    refusal(refused, 409, "RESOURCE_CONFLICT")
    assert not silent.connected.is_set()
