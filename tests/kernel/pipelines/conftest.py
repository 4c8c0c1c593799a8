"""A kernel that runs pipelines, with a folder and a holder of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kernel.pipelines.runs import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = await House(tmp_path / "data").open()
    yield house
    await house.end()
