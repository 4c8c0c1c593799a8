from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nexus.kernel.store.store import DatabaseAddress
from tests.kernel.server.running import Running, running


@pytest.fixture
async def server(tmp_path: Path, database: DatabaseAddress | None) -> AsyncIterator[Running]:
    async with running(tmp_path / "data", database) as made:
        yield made
