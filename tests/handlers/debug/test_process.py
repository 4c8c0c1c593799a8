"""`debug process`: processes that go on by themselves, and the user's others."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from nexus.call import Call
from nexus.cli.run import run
from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.kernel import HOLDER_NAME
from tests.handlers.conftest import Given, Kept, Nexus, Silent
from tests.kernel.holder.programs import end, eventually


@pytest.fixture
async def commands(nexus: Nexus) -> AsyncIterator[Nexus]:
    """Commands whose processes are ended behind the test."""
    yield nexus
    await end(HolderPlace(str(nexus.runtime.folders.data / HOLDER_NAME)))


def begun(*words: str, **more: Any) -> subprocess.Popen[bytes]:
    """Start a process that is none of the kernel's."""
    return subprocess.Popen(words, **more)


async def streamed(nexus: Nexus, line: str) -> tuple[int, list[dict[str, Any]]]:
    stdout = Kept()
    call = Call(
        argv=tuple(shlex.split(line)),
        cwd=nexus.cwd,
        environment={"HOME": str(nexus.cwd)},
        stdin=Given(),
        stdout=stdout,
        stderr=Kept(),
        signals=Silent(),
    )
    status = await asyncio.wait_for(run(call, nexus.runtime), 30)
    return status, [json.loads(each) for each in stdout.written.splitlines()]


def logged(events: list[dict[str, Any]]) -> list[tuple[str, str | None, str]]:
    payloads = [event["payload"] for event in events if event["event"] == "data"]
    return [(each["source"], each["level"], each["message"]) for each in payloads]


async def test_a_process_runs_with_its_callers_surroundings_and_its_lines_are_events(commands):
    script = "import os, sys; print('INFO', os.getcwd(), os.environ['MINE']); print('ERROR: bad', file=sys.stderr)"
    words = shlex.join([sys.executable, "-c", script])
    started = (await commands(f"debug process start -- {words}", environment={"MINE": "yes"})).data
    assert started["id"].startswith("prc_")
    status, events = await streamed(commands, f"debug log tail --id {started['id']} --follow")
    assert status == 0
    assert sorted(logged(events)) == [
        ("stderr", "error", "ERROR: bad"),
        ("stdout", "info", f"INFO {commands.cwd} yes"),
    ]
    assert events[-1]["payload"]["exitCode"] == 0


async def test_a_process_is_listed_viewed_inspected_and_killed(commands):
    started = (await commands("debug process start -- sleep 100")).data
    listed = (await commands("debug process list --filter-type started")).data
    assert [each["id"] for each in listed["items"]] == [started["id"]]
    assert (await commands("debug process list --filter-status exited")).data["items"] == []
    for name in (f"--id {started['id']}", f"--pid {started['pid']}"):
        view = (await commands(f"debug process view {name}")).data
        assert (view["id"], view["kind"], view["command"]) == (started["id"], "started", ["sleep", "100"])
    details = (await commands(f"debug process inspect --id {started['id']}")).data
    assert details["cwd"] == str(commands.cwd)
    assert details["sessionId"] == started["sessionId"]
    killed = (await commands(f"debug process kill --id {started['id']} --signal term")).data
    assert killed["signal"] == "SIGTERM"
    _, events = await streamed(commands, f"debug log tail --id {started['id']} --follow")
    assert events[-1]["payload"]["exitCode"] == 143
    assert (await commands(f"debug process view --id {started['id']}")).data["state"] == "exited"
    assert (await commands(f"debug process kill --id {started['id']}")).error["code"] == "RESOURCE_CONFLICT"


async def test_any_process_of_the_user_can_be_seen_and_signalled_by_pid(commands):
    child = begun("sleep", "100")
    view = (await commands(f"debug process view --pid {child.pid}")).data
    assert (view["kind"], view["command"], view["parentPid"]) == ("other", ["sleep", "100"], os.getpid())
    listed = (await commands("debug process list --filter-type other --limit 1000")).data["items"]
    assert child.pid in {each["pid"] for each in listed}
    await commands.all(f"debug process kill --pid {child.pid} --signal 9")
    assert await asyncio.to_thread(child.wait, 20) == -9
    assert (await commands(f"debug process view --pid {child.pid}")).error["code"] == "RESOURCE_NOT_FOUND"


async def test_a_process_whose_words_and_folder_are_no_text_can_be_seen(commands, tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    child = begun(sys.executable, "-c", "import time; time.sleep(100)", os.fsdecode(b"\xfe"), cwd=folder)
    try:
        for command in ("debug process list --limit 1000", f"debug process inspect --pid {child.pid}"):
            assert (await commands(command)).status == 0
        seen = (await commands(f"debug process inspect --pid {child.pid}")).data
        assert seen["cwd"].endswith("/\ufffd")
        assert seen["command"][-1] == "\ufffd"
    finally:
        child.kill()
        child.wait()


async def test_a_process_that_took_the_number_of_another_is_not_meant(commands):
    child = begun("sleep", "100")
    began = psutil.Process(child.pid).create_time()
    another = f"{child.pid}@{began - 100:.2f}"
    assert (await commands(f"debug process kill --id {another}")).error["code"] == "RESOURCE_NOT_FOUND"
    assert child.poll() is None
    await commands.all(f"debug process kill --id {child.pid}@{began:.2f}")
    assert await asyncio.to_thread(child.wait, 20) == -15


async def test_a_monitor_samples_until_the_process_ends(commands):
    busy = "import time\nend = time.time() + 1.0\nwhile time.time() < end: pass"
    child = begun(sys.executable, "-c", busy)
    _, events = await streamed(commands, f"debug process monitor --pid {child.pid} --follow --interval 0.2")
    child.wait()
    samples = [event["payload"] for event in events if event["event"] == "data"]
    assert len(samples) >= 2
    assert all(sample["type"] == "process-sample" and sample["pid"] == child.pid for sample in samples)
    assert max(sample["cpuPercent"] for sample in samples) > 5
    assert events[-1]["payload"]["reason"] == "exited"
    _, once = await streamed(commands, f"debug process monitor --pid {os.getpid()}")
    assert [event["event"] for event in once] == ["metadata", "status", "data", "close"]
    await eventually(lambda: not commands.runtime.kernel.kernel.sessions.live)


async def test_what_cannot_be_is_told(commands):
    assert (await commands("debug process start -- no-such-program")).error["code"] == "RESOURCE_NOT_FOUND"
    assert (await commands("debug process start --cwd nowhere -- true")).error["code"] == "VALIDATION_ERROR"
    assert (await commands("debug process start")).error["code"] == "VALIDATION_ERROR"
    assert (await commands("debug process view")).error["code"] == "VALIDATION_ERROR"
    assert (await commands("debug process view --id prc_none")).error["code"] == "RESOURCE_NOT_FOUND"
    assert (await commands("debug process kill --pid 1 --signal NONE")).error["code"] == "VALIDATION_ERROR"
    assert (await commands("debug process monitor --id prc_none")).error["code"] == "RESOURCE_NOT_FOUND"
