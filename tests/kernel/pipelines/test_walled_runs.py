"""Runs whose steps stand behind real walls: what they are given is there, and nothing of them is left when they end."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from nexus.schemas.run import RunDataset
from tests.kernel.answers import answer
from tests.kernel.holder.programs import eventually
from tests.kernel.pipelines.runs import COMMAND, Bare, House, changes, printed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are made by Linux")

VALUE, NEXT = "correct-horse-battery", "staple-of-another-day"
ROTATES = 'echo ready; while [ "$(cat "$API_KEY_FILE")" = "$API_KEY" ]; do sleep 0.05; done; cat "$API_KEY_FILE"'
READS = """
cat "$NEXUS_INPUTS/make/out" "${inputs.make}/out" "$NEXUS_DATASETS/sales/in.csv"
for each in "$NEXUS_INPUTS/make/out" "$NEXUS_INPUTS/new" "$NEXUS_DATASETS/sales/in.csv"; do
    (echo spoilt > "$each") 2>/dev/null && echo "wrote $each"
done
ls "$NEXUS_DATASETS/other" 2>/dev/null
echo tmp > "$TMPDIR/own"; cat "$TMPDIR/own"
"""
LEAVES = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        while True:
            time.sleep(0.1)
    while True:
        time.sleep(0.1)
print("begun", flush=True)
signal.pause()
"""


@pytest.fixture
async def walled(tmp_path: Path) -> House:
    return await House(tmp_path / "data", walled=True).open()


async def test_a_step_finds_what_it_is_given_and_spoils_none_of_it(walled: House) -> None:
    answer(await walled.api.put("/api/secrets/API_KEY", json={"value": VALUE}))
    first = await walled.start({"make": {"sh": "echo 1,2 > in.csv", "artifacts": {"in": "in.csv"}}})
    assert await first.over() == ("succeeded", 0)
    [made] = await first.artifacts()
    kept = RunDataset(id="dst_1", name="sales", filename="in.csv", size=4, sha256=made.sha256)
    sets = {name: kept.model_dump(mode="json", by_alias=True) for name in ("sales", "other")}
    steps = {
        "make": "echo rows > out",
        "free": {"sh": "true", "datasets": ["other"]},
        "read": {"sh": READS, "needs": ["make", "free"], "datasets": ["sales"]},
        "wait": {"sh": ROTATES, "secrets": ["API_KEY"]},
    }
    run = await walled.start(steps, datasets=sets)
    await run.until_printed("ready")
    answer(await walled.api.put("/api/secrets/API_KEY", json={"value": NEXT}))
    events = await run.events()
    assert events[-1]["payload"]["reason"] == "succeeded", events
    assert printed(events, "read") == ["rows", "rows", "1,2", "tmp"]
    assert printed(events, "wait") == ["ready", "***"]
    await walled.end()


def processes(marker: str) -> list[int]:
    """Return the processes that have this word in their command."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in words:
            found.append(int(pid))
    return found


@pytest.mark.parametrize("way", ["cancelled", "killed"])
async def test_what_a_step_leaves_behind_ends_with_it(walled: House, way: str, tmp_path: Path) -> None:
    marker = tmp_path.name + way
    script = shlex.join(["exec", "python3", "-ISc", LEAVES, marker])
    run = await walled.start({"busy": script.replace("'exec'", "exec")})
    await run.until_printed("begun")
    await eventually(lambda: len(processes(marker)) >= 3)
    if way == "cancelled":
        await run.cancel()
    else:
        [shown] = answer(await walled.api.get("/api/debug/processes"))["items"]
        answer(await walled.api.delete(f"/api/debug/processes/{shown['id']}", params={"signal": "KILL"}))
    events = await run.events()
    assert changes(events)[-1] == ("busy", "cancelled" if way == "cancelled" else "failed")
    await eventually(lambda: processes(marker) == [])
    await walled.end()


class Cracked(Bare):
    """Walls that cannot be made."""

    def command(self, *_: object) -> tuple[str, ...]:
        return (*COMMAND, "/nowhere/walls")


async def test_a_step_without_walls_does_not_run_and_is_not_tried_again(house: House) -> None:
    house.coordination._sandbox = Cracked()
    run = await house.start({"a": {"sh": "true", "retries": {"attempts": 5}}, "b": "echo 'no walls'; exit 125"})
    assert await run.over() == ("failed", 1)
    [attempt] = await run.attempts("a")
    assert (attempt.error["code"], attempt.exit_code) == ("RESOURCE_UNAVAILABLE", 125)
    assert "/nowhere/walls" in attempt.reason


async def test_a_status_of_a_step_that_is_that_of_walls_is_the_steps_own(house: House) -> None:
    run = await house.start({"a": {"sh": "echo mine >&2; exit 125", "retries": {"attempts": 2, "delaySeconds": 0}}})
    assert await run.over() == ("failed", 1)
    assert [each.reason for each in await run.attempts("a")] == ["exit code 125"] * 2


async def test_a_kernel_that_was_told_of_no_walls_runs_no_steps(tmp_path: Path) -> None:
    house = await House(tmp_path / "data").open()
    house.coordination._sandbox = None
    run = await house.start({"a": {"sh": "true", "retries": {"attempts": 5}}})
    assert await run.over() == ("failed", 1)
    [attempt] = await run.attempts("a")
    assert attempt.error["code"] == "RESOURCE_UNAVAILABLE"
    await house.end()


async def test_a_step_reads_its_project_and_none_of_the_kernels_own_folders_as_one(
    walled: House, tmp_path: Path
) -> None:
    spool = walled.folder / "pipelines" / "runs"
    own = answer(await walled.api.post("/api/projects", json={"name": "own"}), 201)
    users, link = tmp_path / "users", tmp_path / "link"
    users.mkdir()
    for folder in (Path(own["contentPath"]), users):
        (folder / "file").write_text("read\n")
    steps = {"a": {"sh": "cat ${project}/file; ls -A ${project}"}}
    link.symlink_to(users)
    spool.mkdir(parents=True)
    made = {"own": own}
    for name, path in (("users", users), ("link", link), ("runs", spool), ("data", walled.folder)):
        body = {"name": name, "contentPath": str(path)}
        made[name] = answer(await walled.api.post("/api/projects", json=body), 201)
    for name in ("own", "users", "link"):
        run = await walled.start(steps, project_id=made[name]["id"])
        assert printed(await run.events(), "a") == ["read", "file"]
    # What it was when the run was started is not what it is when the step begins.
    link.unlink()
    link.symlink_to(spool)
    for name in ("runs", "link", "data"):
        run = await walled.start(steps, project_id=made[name]["id"])
        assert await run.over() == ("failed", 1)
        [attempt] = await run.attempts("a")
        assert attempt.error["code"] == "PERMISSION_DENIED"
    await walled.end()
