"""A real holder of its own for each test, stopped and gone afterwards."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from nexus.kernel.holder.client import Holder
from nexus.kernel.holder.place import HolderPlace
from tests.kernel.holder.programs import PATIENCE, Reading, Run, end, shell


@pytest.fixture
def place(tmp_path: Path) -> HolderPlace:
    return HolderPlace(str(tmp_path / "holder"))


@pytest_asyncio.fixture
async def holder(place: HolderPlace) -> AsyncIterator[Holder]:
    async with asyncio.timeout(PATIENCE):
        holder = await Holder.open(place, idle=5)
    yield holder
    await end(place)


@pytest.fixture
def run(holder: Holder) -> Run:
    """Start a script under a name, and read it from its beginning."""
    names = iter(range(1000))

    async def start(script: str, *, name: str | None = None, **more: Any) -> Reading:
        name = name or f"p{next(names)}"
        await holder.spawn(name, shell(script, **more))
        return Reading(holder, name)

    return start
