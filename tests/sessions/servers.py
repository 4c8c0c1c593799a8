"""Kernels with the echo type, served for real: in process, on a Unix socket, on loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from nexus.kernel.api.websocket import WebSocketProtocol
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from tests.sessions.echo import ECHO, Echo


@asynccontextmanager
async def echo_kernel(folder: Path) -> AsyncIterator[Kernel]:
    """A kernel on a folder, with the echo type and its driver."""
    kernel = await Kernel.open(folder, OneShotHost())
    kernel.sessions.types.add(ECHO)
    kernel.sessions.drivers.add("echo", Echo)
    try:
        yield kernel
    finally:
        await kernel.close()


@asynccontextmanager
async def served(kernel: Kernel, path: Path | None = None, port: int = 0) -> AsyncIterator[int]:
    """Serve the kernel on a Unix socket, or on loopback; the value is the port."""
    listening = _unix(path) if path is not None else _loopback(port)
    config = uvicorn.Config(
        kernel.app, log_level="error", lifespan="off", ws=WebSocketProtocol, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    # Signals belong to the test runner.
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve([listening]))
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 -- uvicorn tells nobody
                await asyncio.sleep(0.005)
        yield 0 if path is not None else listening.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, 10)
        listening.close()


def _unix(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(100)
    return listening


def _loopback(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    return listening
