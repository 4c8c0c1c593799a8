"""kill -9 of the kernel in the middle of a run: each line is told once, the run ends as it should, nothing is left."""

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.kernel.holder.client import Holder
from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.kernel import HOLDER_NAME
from tests.kernel.holder.programs import eventually
from tests.kernel.pipelines.runs import House, Run, changes, printed, python

ROOT = Path(__file__).parents[3]
# Lines in pieces on both pipes, the last one without an end, and a failure at the first attempt of some.
PROGRAM = """
import os, sys, time
name, lines, fails = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "fails"
attempt = os.environ["NEXUS_ATTEMPT"]
for number in range(lines):
    for fd in (1, 2):
        text = f"{name} {attempt} {fd} {number} " + "x" * (number % 97)
        os.write(fd, text[:9].encode())
        os.write(fd, text[9:].encode() + b"\\n")
    if number % 10 == 0:
        time.sleep(0.02)
os.write(1, f"{name} {attempt} ends".encode())
sys.exit(attempt == "1" and fails)
"""
NEEDS = {"a": "", "b": "a", "c": "a", "d": "a", "e": "bc", "f": "cd", "g": "ef"}
FAILING = "bf"


def steps(lines: int) -> dict[str, dict[str, object]]:
    return {
        name: {
            "sh": python(PROGRAM, name, str(lines), "fails" if name in FAILING else "succeeds"),
            "needs": list(needs),
            "retries": {"attempts": 2, "delaySeconds": 0.05},
        }
        for name, needs in NEEDS.items()
    }


def expected(name: str, lines: int) -> list[str]:
    """Return every line that a step prints, sorted."""
    found = []
    for attempt in (1, 2) if name in FAILING else (1,):
        found += [f"{name} {attempt} {fd} {at} " + "x" * (at % 97) for at in range(lines) for fd in (1, 2)]
        found.append(f"{name} {attempt} ends")
    return sorted(found)


async def queued(folder: Path, lines: int) -> Run:
    house = await House(folder).open()
    run = await house.queue(steps(lines))
    await house.close()
    return run


def kill(folder: Path, kills: int) -> int:
    """Have kernels coordinate the run that die so often, unless it ends before; return how many did."""
    chance, killed = random.Random(5), 0
    command = [sys.executable, "-m", "tests.kernel.pipelines.killable", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as kernels:
        assert kernels.stdin is not None
        assert kernels.stdout is not None
        for number in range(kills):
            how = chance.randrange(2, 12) if number % 2 else -chance.randrange(10, 300)
            kernels.stdin.write(f"{how}\n")
            kernels.stdin.flush()
            ended = int(kernels.stdout.readline())
            assert ended in (0, signal.SIGKILL)
            killed += ended == signal.SIGKILL
        kernels.communicate(timeout=120)
    return killed


@pytest.mark.parametrize(
    ("kills", "lines"), [(10, 150), pytest.param(60, 1500, marks=pytest.mark.soak)], ids=["short", "soak"]
)
async def test_every_line_is_told_once_and_the_run_ends_right(tmp_path: Path, kills: int, lines: int) -> None:
    folder = tmp_path / "data"
    run = await queued(folder, lines)
    killed = await asyncio.to_thread(kill, folder, kills)
    assert killed >= 3
    run.house = await House(folder, mode="server", look=0.2, walled=True).open()
    events = await run.events()
    assert events[-1]["payload"]["reason"] == "succeeded"
    for name in NEEDS:
        assert sorted(printed(events, name)) == expected(name, lines)
        statuses = [status for step, status in changes(events) if step == name]
        again = ["running", "waiting"] if name in FAILING else []
        assert statuses == [*again, "running", "succeeded"]
        assert [each.status for each in await run.attempts(name)] == ["failed"] * bool(again) + ["succeeded"]
    # In order on each pipe.
    ends = [line for line in printed(events, "g") if line.startswith("g 1 1")]
    assert ends == sorted(ends, key=lambda line: int(line.split()[3]))
    place = HolderPlace(str(folder / HOLDER_NAME))
    await eventually(lambda: place.names() == [])
    assert not (folder / "pipelines" / "runs" / run.id).exists()
    await run.house.close()
    last = await Holder.connect(place)
    assert await last.programs() == []
    await last.stop()
    await last.close()
