"""Whoever reads may be killed at any moment: no byte of the program is lost, and none comes twice."""

import asyncio
import os
import random
import sqlite3
import sys
from pathlib import Path

import pytest

from nexus.kernel.holder.client import Holder
from nexus.kernel.holder.place import HolderPlace
from tests.kernel.holder import consumer
from tests.kernel.holder.programs import end, shell

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("kills", "lines"), [(12, 400_000), pytest.param(100, 8_000_000, marks=pytest.mark.soak)], ids=["short", "soak"]
)
async def test_nothing_is_lost_or_doubled_over_kills_at_random_moments(
    place: HolderPlace, tmp_path: Path, kills: int, lines: int
) -> None:
    if lines > 1_000_000 and not os.environ.get("NEXUS_SOAK"):  # noqa: TID251 -- the tests' own switch
        pytest.skip("long: set NEXUS_SOAK=1")
    database = str(tmp_path / "read.db")
    chance = random.Random(7)
    holder = await Holder.open(place, idle=10)
    part = lines // 20
    pace = f"for n in $(seq 0 19); do seq $((n * {part} + 1)) $((n * {part} + {part})); sleep 0.03; done"
    await holder.spawn("p", shell(pace))
    await holder.close()
    killed = 0
    while True:
        reader = await asyncio.create_subprocess_exec(
            *(sys.executable, str(consumer.__file__), place.folder, database, "p"),
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
        )
        try:
            patience = chance.uniform(0.05, 0.4) if killed < kills else 100
            assert await asyncio.wait_for(reader.wait(), patience) == 0
            break
        except TimeoutError:
            reader.kill()
            await reader.wait()
            killed += 1
    assert killed >= 3
    rows = sqlite3.connect(database).execute("SELECT data FROM printed ORDER BY id")
    printed = b"".join(row[0] for row in rows)
    assert printed == b"".join(b"%d\r\n" % number for number in range(1, lines + 1))
    await end(place)
