"""`debug log`: what processes print and files hold, as events, as entries, as files."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator

import pytest

from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.kernel import HOLDER_NAME
from tests.handlers.conftest import Nexus
from tests.handlers.debug.test_process import begun, logged, streamed
from tests.kernel.holder.programs import end, eventually

APP = "2026-11-20T12:00:00Z INFO ready\n2026-11-20T12:00:01Z ERROR broken\n  at one\n2026-11-20T12:00:02Z INFO mended\n"


@pytest.fixture
async def commands(nexus: Nexus) -> AsyncIterator[Nexus]:
    """Commands beside a file `app.log`."""
    (nexus.cwd / "app.log").write_text(APP)
    yield nexus
    await end(HolderPlace(str(nexus.runtime.folders.data / HOLDER_NAME)))


async def test_the_tail_of_a_file(commands):
    status, events = await streamed(commands, "debug log tail --file app.log --lines 2")
    assert status == 0
    source = str(commands.cwd / "app.log")
    assert logged(events) == [(source, None, "  at one"), (source, "info", "2026-11-20T12:00:02Z INFO mended")]
    assert events[-2]["payload"]["time"] == "2026-11-20T12:00:02.000000Z"
    assert events[-1]["payload"]["reason"] == "end-of-file"
    await eventually(lambda: not commands.runtime.kernel.kernel.sessions.live)


async def test_a_file_is_followed_over_its_rotation_and_truncation(commands):
    path = commands.cwd / "app.log"
    sessions = commands.runtime.kernel.kernel.sessions
    work = asyncio.create_task(streamed(commands, "debug log tail --file app.log --lines 0 --follow --limit 7"))

    def newest() -> int:
        return max((live.output.last for live in sessions.live.values()), default=0)

    await eventually(lambda: newest() == 1)
    with path.open("a") as log:
        log.write("one\n")
    await eventually(lambda: newest() == 2)
    path.rename(commands.cwd / "app.log.1")
    path.write_text("two\nthr")
    await eventually(lambda: newest() == 4)
    with path.open("a") as log:
        log.write("ee\n")
    await eventually(lambda: newest() == 5)
    path.write_text("4\n")
    _, events = await work
    assert [message for _, _, message in logged(events)] == ["one", "two", "three", "4"]
    await eventually(lambda: not commands.runtime.kernel.kernel.sessions.live)


async def test_a_file_that_comes_later_is_waited_for_by_who_follows(commands):
    assert (await commands("debug log tail --file late.log")).error["code"] == "RESOURCE_NOT_FOUND"
    work = asyncio.create_task(streamed(commands, "debug log tail --file late.log --follow --limit 2"))
    await eventually(lambda: bool(commands.runtime.kernel.kernel.sessions.live))
    (commands.cwd / "late.log").write_text("here\n")
    _, events = await work
    assert [message for _, _, message in logged(events)] == ["here"]
    assert "Waiting" in events[1]["payload"]["message"]


async def test_the_log_of_a_process_that_writes_to_a_file(commands):
    with (commands.cwd / "out.log").open("w") as out:
        child = begun("sh", "-c", "echo to the file; exec sleep 100", stdout=out)
    await eventually(lambda: bool((commands.cwd / "out.log").read_text()))
    _, events = await streamed(commands, f"debug log tail --pid {child.pid}")
    assert [message for _, _, message in logged(events)] == ["to the file"]
    child.kill()
    child.wait()
    silent = begun("sleep", "100", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert (await commands(f"debug log tail --pid {silent.pid}")).error["code"] == "RESOURCE_NOT_FOUND"
    silent.kill()
    silent.wait()


async def test_entries_of_a_file_by_time_level_and_text(commands):
    entries = (await commands("debug log view --file app.log --level warning")).data["items"]
    assert [entry["message"] for entry in entries] == ["2026-11-20T12:00:01Z ERROR broken", "  at one"]
    entries = (await commands("debug log view --file app.log --from 2026-11-20T12:00:02Z")).data["items"]
    assert [entry["level"] for entry in entries] == ["info"]
    entries = (await commands("debug log search READY --file app.log --to 2026-11-20T12:00:01Z")).data["items"]
    assert [entry["time"] for entry in entries] == ["2026-11-20T12:00:00.000000Z"]
    assert (await commands("debug log search ready --file app.log --from 10m")).data["items"] == []


async def test_entries_of_a_started_process_also_when_it_has_ended(commands):
    script = "for n in 1 2 3; do echo INFO line $n; done; echo ERROR: bad >&2"
    process = (await commands(f'debug process start --grace 0 -- sh -c "{script}"')).data["id"]
    await eventually(lambda: not commands.runtime.kernel.kernel.sessions.live)
    page = (await commands(f"debug log view --id {process} --level info --limit 2")).data
    rest = (await commands(f"debug log view --id {process} --level info --limit 9 --cursor {page['nextCursor']}")).data
    messages = [entry["message"] for entry in [*rest["items"], *page["items"]]]
    assert sorted(messages) == ["ERROR: bad", "INFO line 1", "INFO line 2", "INFO line 3"]
    found = (await commands(f"debug log search 'LINE 2' --id {process}")).data["items"]
    assert [(entry["source"], entry["level"]) for entry in found] == [("stdout", "info")]
    _, events = await streamed(commands, f"debug log tail --id {process} --lines 2")
    assert events[-1]["payload"]["exitCode"] == 0


async def test_an_export_is_whole_in_either_form(commands):
    done = (await commands("debug log export --file app.log --to all.ndjson --level info", umask=0o077)).data
    written = commands.cwd / "all.ndjson"
    assert (done["entries"], done["size"], done["truncated"]) == (4, written.stat().st_size, False)
    assert [json.loads(line)["level"] for line in written.read_text().splitlines()] == [
        "info",
        "error",
        "error",
        "info",
    ]
    assert written.stat().st_mode & 0o777 == 0o600
    await commands.all("debug log export --file app.log --to copy.log")
    assert (commands.cwd / "copy.log").read_text() == APP
    error = (await commands("debug log export --file app.log --to no/such/folder.log")).error
    assert error["code"] == "STORAGE_READ_ONLY"
    assert sorted(each.name for each in commands.cwd.iterdir()) == ["all.ndjson", "app.log", "copy.log"]


async def test_a_log_is_named_in_one_way(commands):
    assert (await commands("debug log tail")).error["code"] == "VALIDATION_ERROR"
    assert (await commands("debug log tail --pid 1 --file x")).error["code"] == "VALIDATION_ERROR"
    assert (await commands("debug log view --id prc_none")).error["code"] == "RESOURCE_NOT_FOUND"
    assert (await commands("debug log view --file none.log")).error["code"] == "RESOURCE_NOT_FOUND"
    assert (await commands("debug log view --file .")).error["code"] == "VALIDATION_ERROR"
