"""A process whose kernel dies again and again: each of its lines is in the log once, of either channel."""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

import pytest

from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import HOLDER_NAME, Kernel
from nexus.schemas.process import ProcessOptions
from nexus.schemas.session import CallerSurroundings, NewSession, SessionContext
from nexus.sessions.client import SessionClient
from nexus.sessions.local import LocalTransport
from tests.kernel.holder.programs import ENVIRONMENT, end

ROOT = Path(__file__).parents[3]
# stdout and stderr in turn, lines cut in the middle, so that either channel has one that is not whole at any moment.
PROGRAM = """
import os, sys, time
lines = int(sys.argv[1])
for number in range(lines):
    for fd in (1, 2):
        text = f"{fd} {number} " + "x" * (number % 97)
        os.write(fd, text[:7].encode())
        os.write(3 - fd, b"")
        os.write(fd, text[7:].encode() + b"\\n")
    if number % 100 == 0:
        time.sleep(0.05)
"""
KERNEL = """
import asyncio, sys
from pathlib import Path
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel

async def main():
    kernel = await Kernel.open(Path(sys.argv[1]), OneShotHost())
    await kernel.sessions.ready()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("kills", "lines"), [(6, 6_000), pytest.param(100, 200_000, marks=pytest.mark.soak)], ids=["short", "soak"]
)
async def test_no_line_is_lost_or_doubled(tmp_path: Path, kills: int, lines: int) -> None:
    if kills > 10 and not os.environ.get("NEXUS_SOAK"):  # noqa: TID251 -- the tests' own switch
        pytest.skip("long: set NEXUS_SOAK=1")
    data = tmp_path / "data"
    chance = random.Random(11)
    kernel = await Kernel.open(data, OneShotHost())
    options = ProcessOptions(argv=(sys.executable, "-ISc", PROGRAM, str(lines)), cwd="/tmp")
    client = SessionClient(LocalTransport(kernel.sessions))
    session = await client.create(
        NewSession(
            type="debug-stream",
            context=SessionContext(process_id="prc_1"),
            transport="local",
            options=options.model_dump(mode="json", by_alias=True),
            surroundings=CallerSurroundings(environment=ENVIRONMENT),
        )
    )
    await kernel.close()
    for _ in range(kills):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", KERNEL, str(data)),
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
        await asyncio.sleep(chance.uniform(0, 0.1))
        process.kill()
        await process.wait()
    kernel = await Kernel.open(data, OneShotHost())
    attachment = await SessionClient(LocalTransport(kernel.sessions)).attach(session.session_id)
    messages: dict[str, list[str]] = {"stdout": [], "stderr": []}
    statuses = 0
    async with asyncio.timeout(120):
        while (batch := await attachment.receive()) is not None:
            for event in map(json.loads, batch.lines.splitlines()):
                statuses += event["event"] == "status"
                if event["event"] == "data":
                    messages[event["payload"]["source"]].append(event["payload"]["message"])
    for fd, source in ((1, "stdout"), (2, "stderr")):
        assert messages[source] == [f"{fd} {number} " + "x" * (number % 97) for number in range(lines)]
    assert statuses == 1
    await kernel.close()
    await end(HolderPlace(str(data / HOLDER_NAME)))
