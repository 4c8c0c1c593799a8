"""A terminal of a project: its program runs where it should, its output is events, and its end says how."""

import os
from pathlib import Path

import httpx
import psutil
import pytest

from nexus.kernel.terminals.driver import usable
from nexus.schemas.errors import (
    ContextMissing,
    NotFound,
    PathOutsideRoot,
    PermissionDenied,
    SessionClosed,
    ValidationError,
)
from nexus.schemas.session import NewSession
from tests.kernel.answers import answer
from tests.kernel.holder.programs import eventually
from tests.kernel.terminals.shells import Desk


async def test_a_command_prints_events_and_ends_with_its_exit_code(desk: Desk) -> None:
    session = await desk.open(command="printf 'h\\303\\251llo\\n'; exit 3")
    watching = await desk.attach(session)
    events = await watching.to_end()
    assert watching.text == "h\u00e9llo\r\n"
    assert events[-1]["payload"] == {"reason": "exited", "exitCode": 3, "lastSeq": events[-1]["seq"]}
    assert events[0]["event"] == "status"
    assert events[0]["payload"]["status"] == "connected"


async def test_a_program_that_dies_of_a_signal_ends_with_128_and_its_number(desk: Desk) -> None:
    assert (await desk.closed(await desk.open(command="kill -9 $$")))["exitCode"] == 137


async def test_it_stands_in_the_projects_folder_with_the_callers_environment(desk: Desk) -> None:
    folder = Path(desk.project["contentPath"])
    (folder / "sub" / "below").mkdir(parents=True)
    command = "pwd; echo $PWD $MINE ${COLUMNS-none}; umask; tput cols"
    session = await desk.open(
        command=command, cwd="sub/below", columns=123, environment={"MINE": "yes", "COLUMNS": "7"}
    )
    watching = await desk.attach(session)
    await watching.to_end()
    inside = f"{folder}/sub/below"
    assert watching.text.splitlines() == [inside, f"{inside} yes none", "0077", "123"]
    view = await desk.sessions.view(session.session_id)
    assert view.metadata["cwd"] == inside
    assert view.metadata["shell"] == "/bin/sh" or view.metadata["shell"].endswith("sh")


@pytest.mark.parametrize("cwd", ["..", "sub/../..", "/etc", "out", "out/deeper"])
async def test_a_folder_outside_the_project_is_refused(desk: Desk, cwd: str) -> None:
    folder = Path(desk.project["contentPath"])
    (folder / "sub").mkdir()
    (folder / "out").symlink_to("/etc")
    with pytest.raises(PathOutsideRoot):
        await desk.open(cwd=cwd)
    assert (await desk.sessions.list()).items == []


async def test_a_link_that_stays_inside_is_followed(desk: Desk) -> None:
    folder = Path(desk.project["contentPath"])
    (folder / "real").mkdir()
    (folder / "link").symlink_to("real")
    watching = await desk.attach(await desk.open(command="pwd -P", cwd="link"))
    await watching.to_end()
    assert watching.text == f"{os.path.realpath(folder)}/real\r\n"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cwd": "no/such"}, NotFound),
        ({"shell": "/no/such/shell"}, NotFound),
        ({"shell": "/etc/passwd"}, PermissionDenied),
        ({"columns": 0}, ValidationError),
        ({"colums": 80}, ValidationError),
    ],
)
async def test_what_cannot_be_opened_leaves_no_session(desk: Desk, options: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        await desk.open(**options)
    assert (await desk.sessions.list()).items == []


async def test_a_terminal_needs_a_project_that_there_is(desk: Desk) -> None:
    with pytest.raises(ContextMissing):
        await desk.sessions.create(NewSession(type="terminal", transport="local"))
    desk.project["id"] = "prj_none"
    with pytest.raises(NotFound):
        await desk.open()


async def test_a_character_is_never_cut_between_events(desk: Desk) -> None:
    command = "for byte in '\\360' '\\237' '\\230' '\\200' '\\n'; do printf $byte; sleep 0.05; done"
    watching = await desk.attach(await desk.open(command=command))
    await watching.to_end()
    assert watching.text == "\U0001f600\r\n"


async def test_rubbish_becomes_replacement_characters_and_nothing_else_is_lost(desk: Desk) -> None:
    watching = await desk.attach(await desk.open(command="printf 'a\\377\\376b\\303'"))
    await watching.to_end()
    assert watching.text == "a\ufffd\ufffdb\ufffd"


async def test_what_is_typed_reaches_the_shell_and_resize_reaches_the_program(desk: Desk) -> None:
    session = await desk.open(columns=90, rows=20)
    watching = await (await desk.attach(session)).until_printed("ready> ")
    await desk.sessions.send(session.session_id, b"stty size\n")
    await watching.until_printed("20 90\r\n")
    await desk.sessions.resize(session.session_id, 101, 31)
    await desk.sessions.send(session.session_id, b"stty size\n")
    await watching.until_printed("31 101\r\n")
    assert {"columns": 101, "rows": 31} in [event["payload"] for event in watching.events]
    await desk.sessions.send(session.session_id, b"exit 4\n")
    assert (await watching.to_end())[-1]["payload"]["exitCode"] == 4
    with pytest.raises(SessionClosed):
        await desk.sessions.send(session.session_id, b"more\n")


async def test_an_interrupt_ends_the_job_and_not_the_shell(desk: Desk) -> None:
    session = await desk.open()
    watching = await (await desk.attach(session)).until_printed("ready> ")
    await desk.sessions.send(session.session_id, b"sh -c 'echo g\"\"o; exec sleep 1000'\n")
    await watching.until_printed("go\r\n")
    await desk.sessions.interrupt(session.session_id)
    await watching.until_printed("ready> ", 2)
    await desk.sessions.send(session.session_id, b"echo code=$?\n")
    await watching.until_printed("code=130\r\n")


async def test_a_flood_is_interrupted_for_a_sole_interactive_reader(desk: Desk) -> None:
    session = await desk.open()
    watching = await (await desk.attach(session, interactive=True)).until_printed("ready> ")
    await desk.sessions.send(session.session_id, b"yes\n")
    await watching.until(lambda watching: len(watching.events) > 60)
    size = len(watching.text)
    await desk.sessions.interrupt(session.session_id)
    await watching.until_printed("ready> ", 2)
    assert len(watching.text) - size < 1_000_000


async def test_a_flood_is_not_held_back_by_a_reader_that_does_not_read(desk: Desk) -> None:
    session = await desk.open(command="seq 1 100000")
    slow = await desk.sessions.attach(session.session_id, window=2048)
    watching = await desk.attach(session)
    await watching.to_end()
    assert watching.text.endswith("\n100000\r\n")
    await slow.aclose()


async def test_closing_ends_the_program_and_says_so(desk: Desk) -> None:
    session = await desk.open()
    watching = await (await desk.attach(session)).until_printed("ready> ")
    pid = int(watching.events[0]["payload"]["message"].split()[-1].rstrip("."))
    await desk.sessions.close(session.session_id)
    assert (await watching.to_end())[-1]["payload"] == {
        "reason": "closed",
        "exitCode": 129,
        "lastSeq": watching.events[-1]["seq"],
    }
    assert not psutil.pid_exists(pid)
    assert (await desk.sessions.view(session.session_id)).status == "closed"


async def test_the_terminals_of_a_deleted_project_end(desk: Desk) -> None:
    session = await desk.open()
    watching = await (await desk.attach(session)).until_printed("ready> ")
    transport = httpx.ASGITransport(desk.kernel.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://kernel") as api:
        answer(await api.delete(f"/api/projects/{desk.project['id']}"))
    assert (await watching.to_end())[-1]["payload"]["reason"] == "project-deleted"


async def test_a_time_out_ends_a_command_and_says_so(desk: Desk) -> None:
    close = await desk.closed(await desk.open(command="exec sleep 100", timeoutSeconds=0.3))
    assert (close["reason"], close["exitCode"]) == ("timeout", 143)


async def test_an_idle_terminal_is_closed(desk: Desk) -> None:
    session = await desk.open(idleSeconds=0.5)
    await eventually(lambda: session.session_id not in desk.kernel.sessions.live)
    assert (await desk.sessions.view(session.session_id)).status == "closed"
    assert (await desk.closed(session))["reason"] == "idle"


async def test_a_restart_goes_on_in_a_new_epoch_with_the_same_surroundings(desk: Desk) -> None:
    session = await desk.open(command="echo hello $MINE; sleep 100", environment={"MINE": "there"})
    watching = await (await desk.attach(session)).until_printed("hello there")
    again = await desk.sessions.restart(session.session_id)
    assert (again.epoch, again.status) == (2, "active")
    assert (await watching.to_end())[-1]["payload"]["reason"] == "restarted"
    second = await (await desk.attach(session)).until_printed("hello there")
    assert second.text.count("hello") == 1


async def test_an_ended_command_can_be_restarted_within_its_grace(desk: Desk) -> None:
    session = await desk.open(command="echo $MINE", environment={"MINE": "kept"})
    assert (await desk.closed(session))["exitCode"] == 0
    await desk.sessions.restart(session.session_id)
    watching = await desk.attach(session)
    await watching.to_end()
    assert watching.text == "kept\r\n"


async def test_after_its_grace_nothing_of_an_ended_terminal_is_held(desk: Desk) -> None:
    session = await desk.open(command="echo done", graceSeconds=0.2)
    await desk.closed(session)
    spools = desk.data_folder / "holder" / "spools"
    await eventually(lambda: not os.listdir(spools))
    # The log has it all the same.
    watching = await desk.attach(session)
    await watching.to_end()
    assert watching.text == "done\r\n"


async def test_terminals_outlive_their_kernel(desk: Desk) -> None:
    session = await desk.open()
    watching = await (await desk.attach(session)).until_printed("ready> ")
    await desk.sessions.send(session.session_id, b'word=kept; (sleep 0.5; echo mean""while) &\n')
    await watching.until_printed("ready> ", 2)
    last = watching.events[-1]["seq"]
    await desk.again()
    later = await desk.attach(session, epoch=1, after=last)
    await later.until_printed("meanwhile\r\n")
    await desk.sessions.send(session.session_id, b"echo $word; exit\n")
    events = await later.to_end()
    assert "kept\r\n" in later.text
    assert events[0]["seq"] == last + 1
    assert events[-1]["payload"]["exitCode"] == 0


async def test_what_ended_while_there_was_no_kernel_is_told_by_the_next(desk: Desk) -> None:
    session = await desk.open(command="echo one; sleep 0.3; echo two; exit 5")
    await (await desk.attach(session)).until_printed("one")
    await desk.again()
    watching = await desk.attach(session)
    events = await watching.to_end()
    assert watching.text == "one\r\ntwo\r\n"
    assert events[-1]["payload"]["exitCode"] == 5


async def test_a_terminal_whose_holder_died_is_told_to_be_lost(desk: Desk) -> None:
    session = await desk.open()
    watching = await (await desk.attach(session)).until_printed("ready> ")
    shell = psutil.Process(int(watching.events[0]["payload"]["message"].split()[-1].rstrip(".")))
    shell.parent().kill()
    events = await watching.to_end()
    assert events[-2]["payload"]["code"] == "RESOURCE_UNAVAILABLE"
    assert events[-1]["payload"]["reason"] == "lost"
    assert (await desk.sessions.view(session.session_id)).status == "error"
    fresh = await desk.open(command="echo fine")
    assert (await desk.closed(fresh))["exitCode"] == 0


async def test_the_output_of_a_flood_is_exact(desk: Desk) -> None:
    runs, last = (20, 2_000_000) if os.environ.get("NEXUS_SOAK") else (1, 200_000)  # noqa: TID251 -- the tests' switch
    wanted = "".join(f"{number}\r\n" for number in range(1, last + 1))
    for _ in range(runs):
        watching = await desk.attach(await desk.open(command=f"seq 1 {last}", graceSeconds=0))
        events = await watching.to_end()
        assert events[-1]["payload"]["exitCode"] == 0
        assert watching.text == wanted


def test_an_account_that_nobody_logs_in_to_has_a_shell_all_the_same() -> None:
    """As the user of a service has it, which systemd makes with nologin."""
    assert usable("/usr/bin/zsh") == "/usr/bin/zsh"
    for none in ("/usr/sbin/nologin", "/bin/false", ""):
        assert usable(none) in ("/bin/bash", "/bin/sh")
