"""A real kernel on a folder of its own, and a client that reaches it in process."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    return tmp_path / "data folder"


@pytest.fixture
async def kernel(data_folder: Path) -> AsyncIterator[Kernel]:
    kernel = await Kernel.open(data_folder, OneShotHost())
    yield kernel
    await kernel.close()


@pytest.fixture
async def api(kernel: Kernel) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as client:
        yield client
