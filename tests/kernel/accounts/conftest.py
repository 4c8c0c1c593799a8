from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kernel.server.running import Running, running


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path / "data", barred_seconds=0.5) as made:
        yield made
