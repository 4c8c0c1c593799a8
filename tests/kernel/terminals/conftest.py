"""A real kernel with a project and a holder of its own, and its sessions by the local transport."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.kernel import HOLDER_NAME
from tests.kernel.answers import make_project
from tests.kernel.holder.programs import end
from tests.kernel.terminals.shells import Desk, opened_desk


@pytest.fixture
async def desk(data_folder: Path) -> AsyncIterator[Desk]:
    """A desk whose kernel may be closed and opened again; its holder is ended behind the test."""
    desk = await opened_desk(data_folder)
    transport = httpx.ASGITransport(desk.kernel.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://kernel") as api:
        desk.project = await make_project(api)
    yield desk
    await desk.kernel.close()
    await end(HolderPlace(str(data_folder / HOLDER_NAME)))
