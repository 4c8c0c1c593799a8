"""Runs: each step behind what it needs, tried as often as it says, and ended when the run is."""

import asyncio
import json
import os
import signal
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from nexus.kernel.holder.client import Holder
from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.kernel import HOLDER_NAME
from nexus.kernel.pipelines import attempt, crowding, folders, ledger, work
from nexus.kernel.store.schema import runs, uploads
from nexus.schemas.run import RunDataset
from tests.kernel.answers import answer, refusal
from tests.kernel.holder.programs import alive, eventually
from tests.kernel.pipelines.runs import House, Run, changes, printed

MEET = "touch {own}; while [ ! -e {other} ]; do sleep 0.05; done"


def told(run: Run, events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return what was told of a step beside its lines."""
    return [each["payload"] for each in events if each["payload"].get("step") == name and "status" in each["payload"]]


async def test_a_step_begins_when_what_it_needs_is_done_and_finds_what_that_left(house: House) -> None:
    run = await house.start(
        {
            "extract": 'echo "$NEXUS_STEP $NEXUS_ATTEMPT"; echo rows > out.txt; echo low >&2',
            "load": {"sh": 'cat "$NEXUS_INPUTS/extract/out.txt" "${inputs.extract}/out.txt"', "needs": ["extract"]},
        }
    )
    events = await run.events()
    assert events[-1]["payload"] == {"reason": "succeeded", "exitCode": 0, "lastSeq": events[-1]["seq"]}
    assert changes(events) == [
        ("extract", "running"),
        ("extract", "succeeded"),
        ("load", "running"),
        ("load", "succeeded"),
    ]
    assert printed(events, "extract") == ["extract 1", "low"]
    assert printed(events, "load") == ["rows", "rows"]
    row = await run.row()
    assert (row.status, row.lease_until, row.reason) == ("succeeded", None, None)
    assert not (house.folder / "pipelines" / "runs" / run.id).exists()


async def test_steps_that_may_run_at_once_and_no_more_of_them_than_there_is_room_for(tmp_path: Path) -> None:
    house = await House(tmp_path / "data", parallel=2).open()
    a, b = tmp_path / "a", tmp_path / "b"
    steps = {"a": MEET.format(own=a, other=b), "b": MEET.format(own=b, other=a), "c": "true", "d": "true"}
    first, second = await house.start(steps), await house.start({"e": "true"})
    running = most = 0
    for _, status in changes(await first.events()):
        running += 1 if status == "running" else -1
        most = max(most, running)
    assert most == 2
    assert await first.over() == await second.over() == ("succeeded", 0)
    await house.end()


async def test_a_step_that_fails_is_tried_again_after_longer_and_longer(house: House) -> None:
    retries = {"attempts": 3, "delaySeconds": 0.2, "factor": 2}
    script = 'echo "try $NEXUS_ATTEMPT"; [ "$NEXUS_ATTEMPT" = 3 ] || exit 7'
    run = await house.start({"flaky": {"sh": script, "retries": retries}})
    events = await run.events()
    assert events[-1]["payload"]["reason"] == "succeeded"
    assert printed(events, "flaky") == ["try 1", "try 2", "try 3"]
    waits = [each for each in told(run, events, "flaky") if each["status"] == "waiting"]
    assert [(each["attempt"], each["exitCode"], each["reason"]) for each in waits] == [
        (1, 7, "exit code 7"),
        (2, 7, "exit code 7"),
    ]
    attempts = await run.attempts("flaky")
    assert [each.status for each in attempts] == ["failed", "failed", "succeeded"]
    for before, after, least in zip(attempts, attempts[1:], (0.2, 0.4), strict=False):
        pause = datetime.fromisoformat(after.started_at) - datetime.fromisoformat(before.finished_at)
        assert pause.total_seconds() >= least - 0.05


async def test_what_needs_a_failed_step_is_skipped_and_the_rest_goes_on(house: House) -> None:
    run = await house.start(
        {
            "bad": "exit 3",
            "behind": {"sh": "true", "needs": ["bad"]},
            "far": {"sh": "true", "needs": ["behind", "good"]},
            "good": "true",
            "after": {"sh": "true", "needs": ["good"]},
        }
    )
    assert await run.over() == ("failed", 1)
    statuses = {"bad": "failed", "behind": "skipped", "far": "skipped", "good": "succeeded", "after": "succeeded"}
    assert await run.statuses() == statuses
    assert (await run.row()).reason == "bad: exit code 3"
    # What it left may be looked at, and a later try goes on with it.
    assert (house.folder / "pipelines" / "runs" / run.id / "good" / "1" / "work").is_dir()


async def test_a_step_that_takes_too_long_has_failed(house: House) -> None:
    run = await house.start({"slow": {"sh": "sleep 600", "timeoutSeconds": 0.3}})
    assert await run.over() == ("failed", 1)
    assert (await run.attempts("slow"))[0].reason == "took longer than 0.3 s"


async def test_a_run_with_a_document_that_is_none_fails(house: House) -> None:
    run = await house.queue({"a": "true"})
    broken = update(runs).where(runs.c.id == run.id).values(document={"name": "demo"})
    await house.kernel._store.write(lambda connection: connection.execute(broken))
    await house.coordination.begin(run.id, run.session, None)
    assert await run.over() == ("failed", 1)
    assert ((await run.row()).status, await run.statuses()) == ("failed", {"a": "skipped"})


async def test_a_program_that_is_not_there_fails_its_step_at_once(house: House) -> None:
    run = await house.start({"none": {"run": ["/nowhere/program"], "retries": {"attempts": 5}}})
    assert await run.over() == ("failed", 1)
    [attempt] = await run.attempts("none")
    assert attempt.error["code"] == "RESOURCE_NOT_FOUND"


STUBBORN = """
trap '' TERM
(trap '' TERM; echo grandchild $$; while :; do sleep 0.1; done) &
echo "pids $$ $!"; while :; do sleep 0.1; done
"""


GENTLE = 'echo "pids $$"; while :; do sleep 0.1; done'


@pytest.mark.parametrize(("way", "script"), [("row", STUBBORN), ("interrupt", GENTLE), ("close", GENTLE)])
async def test_a_cancelled_run_leaves_nothing_that_runs(house: House, way: str, script: str) -> None:
    retries = {"attempts": 5, "delaySeconds": 3000}
    run = await house.start(
        {
            "busy": script,
            "waits": {"sh": "exit 1", "retries": retries},
            "behind": {"sh": "true", "needs": ["busy"]},
        }
    )
    await run.until("waits", "waiting")
    assert (await run.steps())["waits"].finished_at is None
    events = await run.events(lambda events: any("pids" in line for line in printed(events, "busy")))
    [line] = [line for line in printed(events, "busy") if "pids" in line]
    if way == "row":
        await run.cancel()
    else:
        answer(await house.api.post(f"/api/sessions/{run.session}/{way}"))
    assert await run.over() == ("cancelled", 1)
    assert set((await run.statuses()).values()) == {"cancelled"}
    assert [each.status for each in await run.attempts("busy")] == ["cancelled"]
    for pid in line.split()[1:]:
        await eventually(lambda pid=pid: not alive(int(pid)))
    row = await run.row()
    assert (row.status, row.lease_until) == ("cancelled", None)


async def test_a_cancelled_run_waits_for_no_large_artifact(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "KEEP_SECONDS", 0.0)
    script = "trap 'truncate -s 256M big; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    run = await house.start({"a": {"sh": script, "artifacts": {"big": "big"}}})
    await run.until_printed("up")
    await run.cancel()
    assert await run.over() == ("cancelled", 1)
    assert await run.artifacts() == []
    assert await run.rows(select(uploads)) == []


async def test_a_run_that_was_cancelled_before_it_began_runs_nothing(house: House) -> None:
    run = await house.queue({"a": "true"})
    await run.cancel()
    await eventually_over(run, "cancelled")
    assert await run.statuses() == {"a": "cancelled"}
    assert await run.attempts("a") == []


async def test_what_was_cancelled_while_no_kernel_was_there_is_ended_by_the_next(house: House) -> None:
    run = await house.start({"busy": GENTLE, "behind": {"sh": "true", "needs": ["busy"]}})
    events = await run.events(lambda events: bool(printed(events, "busy")))
    [line] = printed(events, "busy")
    await house.close()
    await house.open()
    changed = update(runs).where(runs.c.id == run.id).values(status="cancelling")
    await house.kernel._store.write(lambda connection: connection.execute(changed))
    assert alive(int(line.split()[1]))
    assert await run.over() == ("cancelled", 1)
    assert await run.statuses() == {"busy": "cancelled", "behind": "cancelled"}
    await eventually(lambda: not alive(int(line.split()[1])))


async def eventually_over(run: Run, status: str) -> None:
    """Wait for the end of a run whose session may be another by now."""
    await eventually(lambda: run.id not in run.house.coordination.at_work)
    row = await run.row()
    assert row.status == status


async def test_files_of_a_step_that_succeeded_are_kept_as_artifacts(house: House) -> None:
    run = await house.start({"make": {"sh": "mkdir out; echo 1 > out/a", "artifacts": {"table": "out/a"}}})
    events = await run.events()
    [made] = await run.artifacts()
    assert told(run, events, "make")[-1]["artifacts"] == [made.id]
    assert (await run.attempts("make"))[0].artifacts == [made.id]
    assert (made.name, made.filename, made.size) == ("table", "a", 2)


@pytest.mark.parametrize("full", [False, True])
async def test_what_a_failed_step_left_is_removed_at_once_where_the_disk_is_nearly_full(
    house: House, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    monkeypatch.setattr(folders, "LEAST_FREE", 2**62 if full else 0)
    monkeypatch.setattr(folders, "LEAST_PART", 1)
    run = await house.start({"a": "echo kept > file", "b": {"sh": "echo left > file; exit 3", "needs": ["a"]}})
    assert await run.over() == ("failed", 1)
    below = house.folder / "pipelines" / "runs" / run.id
    assert (below / "a" / "1" / "work" / "file").read_text() == "kept\n"
    assert (below / "b" / "1" / "work" / "file").exists() is not full
    [attempt] = await run.attempts("b")
    assert ("nearly full" in attempt.reason) is full


def disk_of_2_mb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a disk nearly full while files `filling` take more than two megabytes, and look often."""

    def short(self: folders.RunFolders) -> int | None:
        taken = sum(path.stat().st_blocks for path in self.runs.rglob("filling") if path.exists()) * folders.BLOCK
        return 1_000_000 if taken > 2_000_000 else None

    monkeypatch.setattr(folders.RunFolders, "short", short)
    monkeypatch.setattr(crowding, "LOOK_SECONDS", 0.05)


async def test_a_step_that_left_no_room_to_tell_of_its_end_has_its_files_removed_first(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_of_2_mb(monkeypatch)
    monkeypatch.setattr(work, "END_SECONDS", 0.5)
    read = attempt.Attempt.read

    async def untold(self: attempt.Attempt) -> attempt.Exit:
        """What holds it cannot write its end down while the disk is full."""
        ended = await read(self)
        while (self.work / "filling").exists():  # noqa: ASYNC110 -- there is no event to wait for
            await asyncio.sleep(0.02)
        return ended

    monkeypatch.setattr(attempt.Attempt, "read", untold)
    run = await house.start({"fills": "head -c 4000000 /dev/zero > filling; sync filling; sleep 300"})
    assert await run.over() == ("failed", 1)
    [only] = await run.attempts("fills")
    assert only.error["code"] == "STORAGE_FULL"


async def test_the_step_that_fills_the_disk_is_ended_and_the_others_go_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_of_2_mb(monkeypatch)
    filling = "head -c 4000000 /dev/zero > filling; sync filling; echo filled; sleep 300"
    run = await house.start(
        {
            "fills": {"sh": filling, "retries": {"attempts": 2, "delaySeconds": 0.01}},
            "other": {"sh": "echo little > file; for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done; echo well"},
        }
    )
    assert await run.over() == ("failed", 1)
    for each in await run.attempts("fills"):
        assert (each.status, each.error["code"]) == ("failed", "STORAGE_FULL")
        assert each.reason.startswith("No space is left for what the step fills writes.")
    [other] = await run.attempts("other")
    assert other.status == "succeeded"
    assert not list((house.folder / "pipelines" / "runs" / run.id / "fills").rglob("filling"))


async def test_a_step_that_leaves_no_such_file_has_failed(house: House) -> None:
    run = await house.start({"make": {"sh": "echo 1 > a", "artifacts": {"one": "a", "other": "b"}}})
    assert await run.over() == ("failed", 1)
    assert (await run.attempts("make"))[0].error["details"]["field"] == "artifacts.other"
    assert await run.artifacts() == []


async def test_a_step_reads_the_data_sets_and_parameters_that_the_run_has(house: House) -> None:
    first = await house.start({"make": {"sh": "echo 1,2 > in.csv", "artifacts": {"in": "in.csv"}}})
    assert await first.over() == ("succeeded", 0)
    [made] = await first.artifacts()
    kept = RunDataset(id="dst_1", name="sales", filename="in.csv", size=4, sha256=made.sha256)
    script = 'cat "$NEXUS_DATASETS/sales/in.csv" "${datasets.sales}"; echo "$ROWS"; echo "$NEXUS_PARAMETERS"; env'
    run = await house.start(
        {"read": {"sh": script, "datasets": ["sales"], "environment": {"ROWS": "${parameters.rows} $${rows}"}}},
        parameters={"rows": 3},
        datasets={"sales": kept.model_dump(mode="json", by_alias=True)},
    )
    events = await run.events()
    assert events[-1]["payload"]["reason"] == "succeeded"
    lines = printed(events, "read")
    assert lines[:3] == ["1,2", "1,2", "3 ${rows}"]
    assert json.loads(lines[3]) == {"rows": 3}
    names = {line.partition("=")[0] for line in lines[4:]}
    own = {"RUN_ID", "STEP", "ATTEMPT", "PARAMETERS", "INPUTS", "DATASETS"}
    shells = {"_", "SHLVL", "OLDPWD"}
    assert names - shells == {"PATH", "HOME", "PWD", "TMPDIR", "LANG", "ROWS", *(f"NEXUS_{each}" for each in own)}


async def test_a_step_shows_among_the_processes_and_one_that_is_killed_there_has_failed(house: House) -> None:
    script = '[ "$NEXUS_ATTEMPT" = 2 ] || { echo here; while :; do sleep 0.1; done; }'
    run = await house.start({"work": {"sh": script, "retries": {"attempts": 2, "delaySeconds": 0}}})
    await run.until_printed("here")
    [shown] = answer(await house.api.get("/api/debug/processes"))["items"]
    assert (shown["name"], shown["kind"], shown["sessionId"]) == ("work", "started", run.session)
    answer(await house.api.delete(f"/api/debug/processes/{shown['id']}", params={"signal": "KILL"}))
    assert await run.over() == ("succeeded", 0)
    assert [(each.status, each.reason, each.exit_code) for each in await run.attempts("work")] == [
        ("failed", "ended by SIGKILL", 128 + signal.SIGKILL),
        ("succeeded", None, 0),
    ]


async def test_what_the_holder_took_with_it_is_lost_and_tried_again(house: House) -> None:
    orphaned = "while kill -0 $PPID; do sleep 0.05; done"
    script = f'echo "try $NEXUS_ATTEMPT"; [ "$NEXUS_ATTEMPT" = 2 ] || {orphaned}'
    steps = {"work": {"sh": script, "retries": {"attempts": 2, "delaySeconds": 0}}, "once": f"echo on; {orphaned}"}
    run = await house.start(steps)
    await run.until_printed("try 1")
    await run.until_printed("on")
    held = await Holder.connect(HolderPlace(str(house.folder / HOLDER_NAME)))
    os.kill(held.pid, signal.SIGKILL)
    await held.close()
    events = await run.events()
    assert printed(events, "work") == ["try 1", "try 2"]
    assert await run.statuses() == {"work": "succeeded", "once": "failed"}
    assert [each.status for each in await run.attempts("work")] == ["lost", "succeeded"]
    assert [each.status for each in await run.attempts("once")] == ["lost"]


async def test_a_step_waits_where_the_node_takes_no_more_programs(tmp_path: Path) -> None:
    house = await House(tmp_path / "data", capacity=1).open()
    run = await house.start({"a": "true", "b": "true", "c": "true"})
    assert await run.over() == ("succeeded", 0)
    assert [len(await run.attempts(name)) for name in "abc"] == [1, 1, 1]
    await house.end()


async def test_of_a_run_that_is_deleted_nothing_is_left(house: House) -> None:
    kept = await house.start({"a": "echo stays; exit 1"})
    run = await house.start({"a": "seq 100000; echo secret-of-mine; exit 1"})
    for each in (kept, run):
        assert await each.over() == ("failed", 1)
        await eventually(lambda: not house.coordination.at_work)
    answer(await house.api.delete(f"/api/runs/{run.id}"))
    assert [path.name for path in (house.folder / "pipelines" / "runs").iterdir()] == [kept.id]
    refusal(await house.api.get(f"/api/sessions/{run.session}/events"), 404, "SESSION_NOT_FOUND")
    assert printed(await kept.events(), "a") == ["stays"]
    await house.close()
    log = sqlite3.connect(house.folder / "sessions.db")
    assert log.execute("SELECT count(*) FROM batch WHERE instr(lines, 'secret-of-mine')").fetchone() == (0,)
    assert log.execute("SELECT count(*) FROM mark").fetchone() == (0,)
    log.close()
    await house.open()


async def test_a_run_keeps_its_kernel_awake_and_one_that_waits_for_room_is_cancelled_at_once(tmp_path: Path) -> None:
    house = await House(tmp_path / "data", parallel=1).open()
    first, second = await house.start({"a": "echo on; sleep 600"}), await house.start({"b": "true"})
    await first.until_printed("on")
    assert house.kernel.live().sessions == 2
    await second.cancel()
    assert await second.over() == ("cancelled", 1)
    assert await second.attempts("b") == []
    await first.cancel()
    assert await first.over() == ("cancelled", 1)
    await eventually(lambda: house.kernel.live().sessions == 0)
    await house.end()


async def test_a_clock_that_was_set_back_holds_no_step_longer_than_its_pause(house: House) -> None:
    fails = {"sh": '[ "$NEXUS_ATTEMPT" = 2 ]', "retries": {"attempts": 2, "delaySeconds": 2}}
    run = await house.start({"a": fails})
    await run.until("a", "waiting")
    await house.close()
    with sqlite3.connect(house.folder / "nexus.db") as connection:
        connection.execute("UPDATE run_steps SET next_attempt_at = '2999-01-01T00:00:00Z'")
    connection.close()
    await house.open()
    assert await run.over() == ("succeeded", 0)


async def test_a_run_that_nobody_began_is_found_behind_all_those_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MOST_FOUND", 1)
    house = await House(tmp_path / "data", mode="server", look=0.1).open()
    busy = await house.start({"a": "while :; do sleep 0.1; done"})
    await busy.until("a", "running")
    left = await house.queue({"a": "while [ ! -e go ]; do sleep 0.05; done"})
    folder = house.folder / "pipelines" / "runs" / left.id / "a" / "1" / "work"
    await eventually(folder.exists)
    (folder / "go").touch()
    await eventually_over(left, "succeeded")
    await busy.cancel()
    await busy.over()
    await house.end()


async def test_a_run_is_begun_once_though_it_is_looked_for_meanwhile(tmp_path: Path) -> None:
    house = await House(tmp_path / "data", mode="server", look=0.0).open()
    runs = [await house.start({"a": "true"}) for _ in range(10)]
    assert [await run.over() for run in runs] == [("succeeded", 0)] * 10
    await house.end()
