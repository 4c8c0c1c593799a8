"""A held program gets what its command had, prints exactly what it prints, and ends as it ends."""

import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

from nexus.kernel.holder.client import Holder
from nexus.kernel.holder.pace import PACED_BYTES, PACED_PAUSE
from nexus.kernel.holder.refusal import Refused
from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.spool import Kind, Record, SpoolReader
from tests.kernel.holder.programs import ENVIRONMENT, Reading, Run, shell


@pytest.mark.parametrize(
    ("script", "code", "number"),
    [
        ("exit 0", 0, None),
        ("exit 3", 3, None),
        ("exit 255", 255, None),
        ("kill -TERM $$", None, 15),
        ("kill -9 $$", None, 9),
    ],
)
@pytest.mark.parametrize("terminal", [(80, 24), None])
async def test_the_exit_is_told_by_code_or_signal(
    run: Run, script: str, code: int | None, number: int | None, terminal: tuple[int, int] | None
) -> None:
    end = await (await run(script, terminal=terminal)).to_exit()
    assert (end["code"], end["signal"], end["reason"]) == (code, number, "exited")


async def test_the_exit_comes_after_the_last_byte(run: Run) -> None:
    reading = await run("seq 1 50000; exit 7")
    assert (await reading.to_exit())["code"] == 7
    assert reading.records[-1].kind == Kind.EXIT
    assert reading.stdout.endswith(b"50000\r\n")


async def test_a_terminal_has_the_size_that_was_asked_for_and_a_new_one_is_told(holder: Holder, run: Run) -> None:
    reading = await run("trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.05; done", terminal=(101, 33))
    await reading.until_printed(b"33 101\r\n")
    await holder.resize("p0", 120, 40)
    await reading.to_exit()
    assert reading.stdout.endswith(b"40 120\r\n")


async def test_it_has_a_terminal_of_its_own_and_leads_its_session(run: Run) -> None:
    code = "import os; print(os.getsid(0) == os.getpid() == os.tcgetpgrp(0), os.isatty(0), os.isatty(2), os.ttyname(1))"
    reading = await run(f"exec {sys.executable} -c '{code}'")
    await reading.to_exit()
    assert reading.stdout.startswith(b"True True True /dev/")


async def test_pipes_keep_stdout_and_stderr_apart(run: Run) -> None:
    reading = await run("echo out; echo err >&2; cat", terminal=None)
    await reading.to_exit()
    assert (reading.of(Kind.STDOUT), reading.of(Kind.STDERR)) == (b"out\n", b"err\n")


async def test_it_gets_the_commands_surroundings_and_nothing_of_the_holders(holder: Holder, tmp_path: Path) -> None:
    code = (
        "import os, resource, signal\n"
        "fds = []\n"
        "for fd in range(64):\n"
        "    try: os.fstat(fd); fds.append(fd)\n"
        "    except OSError: pass\n"
        "ignored = [n for n in signal.valid_signals() if n < 32 and signal.getsignal(n) == signal.SIG_IGN]\n"
        "print(os.getcwd(), oct(os.umask(0)), sorted(os.environ), resource.getrlimit(resource.RLIMIT_NOFILE), fds)\n"
        "print(open('/proc/self/status').read() if os.path.exists('/proc') else 'SigIgn:\\t0000000001001000')\n"
    )
    spec = ProgramSpec(
        (sys.executable, "-ISc", code),
        str(tmp_path),
        {"ONE": "1", "LC_ALL": "C.UTF-8"},
        umask=0o027,
        limits={int(resource.RLIMIT_NOFILE): (77, 99)},
    )
    await holder.spawn("p", spec)
    reading = Reading(holder, "p")
    assert (await reading.to_exit())["code"] == 0
    first, *status = reading.stdout.decode().splitlines()
    assert first == f"{tmp_path} 0o27 ['LC_ALL', 'ONE'] (77, 99) [0, 1, 2]"
    # Python itself ignores SIGPIPE and SIGXFSZ; everything else is at its default, and nothing is blocked.
    facts = dict(line.split(":", 1) for line in status if ":" in line)
    assert int(facts["SigIgn"], 16) == 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    assert int(facts.get("SigBlk", "0"), 16) == 0


@pytest.mark.parametrize(
    ("argv", "cwd", "stage", "errno"),
    [
        (("no-such-program",), "/tmp", "program", 2),
        (("/etc/passwd",), "/tmp", "program", 13),
        (("true",), "/no/such/folder", "folder", 2),
        (("true", "nul\0"), "/tmp", "program", 22),
    ],
)
async def test_what_cannot_start_says_where_it_failed(
    holder: Holder, argv: tuple[str, ...], cwd: str, stage: str, errno: int
) -> None:
    with pytest.raises(Refused) as caught:
        await holder.spawn("p", ProgramSpec(argv, cwd, ENVIRONMENT, terminal=(80, 24)))
    assert (caught.value.code, caught.value.data) == ("spawn", {"stage": stage, "errno": errno})
    assert await holder.programs() == []
    assert holder.place.names() == []


async def test_another_folder_under_the_same_name_is_refused(holder: Holder, tmp_path: Path) -> None:
    facts = os.stat(tmp_path)
    await holder.spawn("right", shell("true", cwd=str(tmp_path), folder_identity=(facts.st_dev, facts.st_ino)))
    with pytest.raises(Refused) as caught:
        await holder.spawn("wrong", shell("true", cwd="/", folder_identity=(facts.st_dev, facts.st_ino)))
    assert caught.value.data["stage"] == "folder"


async def test_asking_twice_starts_once(holder: Holder, run: Run) -> None:
    reading = await run("echo once; read x", name="same")
    assert (await holder.spawn("same", shell("echo twice"))).generation == 1
    await reading.until_printed(b"once")
    assert [held.name for held in await holder.programs()] == ["same"]


async def test_any_byte_passes_through_a_raw_terminal_unchanged(holder: Holder, run: Run) -> None:
    rubbish = os.urandom(200_000)
    code = (
        "import os, tty; tty.setraw(0); os.write(1, b'go'); n = 0\n"
        "while n < 200000: d = os.read(0, 65536); n += len(d); os.write(1, d)"
    )
    reading = await run(f'exec {sys.executable} -ISc "{code}"')
    await reading.until_printed(b"go")
    await holder.write("p0", rubbish, writer="w", number=1)
    await reading.to_exit()
    assert reading.stdout == b"go" + rubbish


async def test_input_sent_again_is_applied_once(holder: Holder, run: Run) -> None:
    reading = await run("cat", terminal=None, stdin=True)
    assert await holder.write("p0", b"a", writer="one", number=1)
    assert not await holder.write("p0", b"a", writer="one", number=1)
    assert await holder.write("p0", b"b", writer="two", number=1)
    assert await holder.write("p0", b"c", writer="one", number=2)
    assert not await holder.write("p0", b"a", writer="one", number=1)
    await holder.end_input("p0")
    assert (await reading.to_exit())["code"] == 0
    assert reading.stdout == b"abc"
    with pytest.raises(Refused, match="no input"):
        await holder.write("p0", b"d", writer="one", number=3)


async def test_input_that_nobody_reads_is_refused_before_it_fills_the_memory(holder: Holder, run: Run) -> None:
    await run("sleep 60", terminal=None, stdin=True)
    await holder.write("p0", b"x" * 1_000_000, writer="w", number=1)
    with pytest.raises(Refused) as caught:
        await holder.write("p0", b"x" * 1_000_000, writer="w", number=2)
    assert caught.value.code == "full"


async def test_control_d_ends_the_input_of_a_terminal(holder: Holder, run: Run) -> None:
    reading = await run("cat; echo ended")
    await holder.write("p0", b"line\n", writer="w", number=1)
    await reading.until_printed(b"line\r\nline\r\n")
    await holder.end_input("p0")
    await reading.to_exit()
    assert reading.stdout.endswith(b"ended\r\n")


async def test_an_interrupt_reaches_the_foreground_job_and_not_the_shell(holder: Holder) -> None:
    bash = ProgramSpec(("bash", "--norc", "-i"), "/tmp", ENVIRONMENT | {"PS1": "ready> "}, terminal=(80, 24))
    await holder.spawn("sh", bash)
    reading = Reading(holder, "sh")
    await reading.until_printed(b"ready> ")
    await holder.write("sh", b"sh -c 'echo g\"\"o; exec sleep 1000'\n", writer="w", number=1)
    await reading.until_printed(b"go\r\n")
    await holder.interrupt("sh")
    await reading.until(lambda reading: reading.stdout.count(b"ready> ") == 2)
    await holder.write("sh", b"echo $?; exit\n", writer="w", number=2)
    await reading.to_exit()
    assert b"130\r\n" in reading.stdout


async def test_a_flood_is_interrupted_at_once_when_one_reader_sets_the_pace(holder: Holder) -> None:
    bash = ProgramSpec(("bash", "--norc", "-i"), "/tmp", ENVIRONMENT | {"PS1": "ready> "}, terminal=(80, 24))
    await holder.spawn("sh", bash)
    await holder.window("sh", 32 * 1024)
    reading = Reading(holder, "sh")
    await reading.until_printed(b"ready> ")
    await holder.write("sh", b"yes\n", writer="w", number=1)

    async def acknowledge_and_read() -> None:
        await holder.window("sh", 32 * 1024, reading.records[-1].end)
        await reading.more()

    while len(reading.stdout) < 1_000_000:
        await acknowledge_and_read()
    size = len(reading.stdout)
    await holder.interrupt("sh")
    while reading.stdout.count(b"ready> ") < 2:
        await acknowledge_and_read()
    assert len(reading.stdout) - size < 200_000


async def test_beside_somebody_who_types_a_flood_is_read_at_a_pace_and_goes_on(holder: Holder, run: Run) -> None:
    await run("exec cat", name="typed")
    await holder.window("typed", 32 * 1024)
    flood = await run("exec yes", name="flood")
    await flood.until(lambda flood: len(flood.stdout) > 1_000_000)
    begun = time.monotonic()
    start = len(flood.stdout)
    for number in range(1, 6):
        await holder.write("typed", b"a", writer="w", number=number)
        size = len(flood.stdout)
        await flood.until(lambda flood, size=size: len(flood.stdout) > size + 2 * PACED_BYTES)  # type: ignore[misc]
    paced = (time.monotonic() - begun) / PACED_PAUSE * PACED_BYTES
    # What lay in the spool before the first key was not read at a pace.
    assert len(flood.stdout) - start < paced + 2_000_000
    await flood.until(lambda flood: len(flood.stdout) > size + 3_000_000)


async def test_a_program_that_closes_its_terminal_and_goes_on_is_not_at_its_end(run: Run) -> None:
    reading = await run("exec </dev/null >/dev/null 2>&1; sleep 0.3; echo back > /dev/tty; exit 4")
    assert (await reading.to_exit())["code"] == 4
    assert reading.stdout == b"back\r\n"


async def test_an_orphan_that_holds_the_terminal_delays_the_end_for_a_while_only(run: Run) -> None:
    before = time.monotonic()
    reading = await run("trap '' HUP; (sleep 0.2; echo late; exec sleep 60) & exit 5", linger=1.0)
    assert (await reading.to_exit())["code"] == 5
    assert 1.0 <= time.monotonic() - before < 30
    assert reading.stdout == b"late\r\n"


async def test_an_orphan_on_a_pipe_is_read_to_its_end(run: Run) -> None:
    reading = await run("(sleep 0.3; echo late) & exit 6", terminal=None)
    assert (await reading.to_exit())["code"] == 6
    assert reading.stdout == b"late\n"


async def test_closing_hangs_up_then_terminates_then_kills(holder: Holder, run: Run) -> None:
    polite = await run("echo up; exec sleep 100")
    await polite.until_printed(b"up")
    await holder.end("p0")
    end = await polite.to_exit()
    assert (end["signal"], end["reason"]) == (signal.SIGHUP, "closed")

    hears = "import signal as s, time; s.signal(1, lambda *_: s.signal(1, s.SIG_DFL))"
    twice = await run(f"exec {sys.executable} -c '{hears}; print(\"up\", flush=True); time.sleep(100)'")
    await twice.until_printed(b"up")
    await holder.end("p1")
    assert (await twice.to_exit())["signal"] == signal.SIGHUP

    stubborn = await run("trap '' HUP TERM INT; echo up; while :; do sleep 1; done", grace=0.6)
    await stubborn.until_printed(b"up")
    await holder.end("p2")
    end = await stubborn.to_exit()
    assert (end["signal"], end["reason"]) == (signal.SIGKILL, "closed")


async def test_closing_ends_background_jobs_that_hold_the_terminal(holder: Holder, run: Run) -> None:
    reading = await run("set -m; trap '' HUP TERM; (echo job; while :; do sleep 1; done) & wait", grace=0.5)
    await reading.until_printed(b"job\r\n")
    await holder.end("p0")
    assert (await reading.to_exit())["signal"] == signal.SIGKILL


async def test_a_stopped_program_can_be_closed(holder: Holder, run: Run) -> None:
    reading = await run("echo up; kill -STOP $$; echo never", terminal=None, grace=0.5)
    await reading.until_printed(b"up")
    await holder.end("p0")
    assert (await reading.to_exit())["signal"] == signal.SIGTERM


async def test_a_time_out_ends_a_program_with_term(run: Run) -> None:
    end = await (await run("exec sleep 100", timeout=0.3)).to_exit()
    assert (end["signal"], end["reason"]) == (signal.SIGTERM, "timeout")


async def test_an_idle_shell_is_ended_and_one_with_a_job_or_a_watcher_is_not(holder: Holder) -> None:
    def shell_spec(idle: float) -> ProgramSpec:
        environment = ENVIRONMENT | {"PS1": "ready> "}
        return ProgramSpec(("bash", "--norc", "-i"), "/tmp", environment, terminal=(80, 24), idle=idle)

    for name in ("idle", "busy", "watched"):
        await holder.spawn(name, shell_spec(0.5))
    await holder.attend("watched", True)
    busy = Reading(holder, "busy")
    await holder.write("busy", b'sleep 1.2; echo d""one\n', writer="w", number=1)
    assert (await Reading(holder, "idle").to_exit())["reason"] == "idle"
    await busy.until_printed(b"done\r\n")
    assert (await busy.to_exit())["reason"] == "idle"
    assert {held.name: held.running for held in await holder.programs()}["watched"]


async def test_a_restart_goes_on_in_the_same_spool(holder: Holder, run: Run) -> None:
    reading = await run("echo up $$; while :; do sleep 1; done")
    await reading.until_printed(b"up")
    await holder.resize("p0", 132, 43)
    await holder.restart("p0")
    end = await reading.to_exit()
    assert (end["reason"], end["generation"]) == ("restarted", 1)
    await reading.until(lambda reading: reading.stdout.count(b"up") == 2)
    started = reading.told(Kind.STARTED)
    assert [(facts["generation"], facts["columns"]) for facts in started] == [(1, 80), (2, 132)]
    assert started[0]["pid"] != started[1]["pid"]


async def test_an_ended_program_can_be_started_again_until_it_is_forgotten(holder: Holder, run: Run) -> None:
    reading = await run("echo hello")
    await reading.to_exit()
    await holder.restart("p0")
    await reading.to_exit()
    assert reading.stdout == b"hello\r\n" * 2
    await holder.forget("p0")
    assert holder.place.names() == []
    with pytest.raises(Refused) as caught:
        await holder.restart("p0")
    assert caught.value.code == "unknown"


async def test_a_spool_that_nobody_reads_pauses_its_program_and_says_so(holder: Holder) -> None:
    await holder.spawn("p", shell("seq 1 300000", terminal=None, spool_limit=300_000))
    reading = Reading(holder, "p")
    with SpoolReader(holder.place.spool("p")) as unconfirmed:
        # Read beside the holder's back, so that it does not know; the notice is the last that comes.
        seen: list[Record] = []
        while not (seen and seen[-1].kind == Kind.NOTICE):
            seen += unconfirmed.read()
    held = (await holder.programs())[0]
    assert held.paused == ("quota",)
    assert held.end < 500_000
    assert (await reading.to_exit())["code"] == 0
    assert reading.stdout == b"".join(b"%d\n" % number for number in range(1, 300_001))
    notices = reading.told(Kind.NOTICE)
    assert notices[0] == {"paused": "quota", "limit": 300_000}
    assert notices[1] == {"resumed": "quota"}


async def test_a_repaint_is_a_size_that_changes_and_changes_back(holder: Holder, run: Run) -> None:
    reading = await run("trap 'stty size' WINCH; stty size; while :; do sleep 0.02; done")
    await reading.until_printed(b"24 80\r\n")
    await holder.repaint("p0", force=False)
    await holder.repaint("p0", force=True)
    await reading.until(lambda reading: reading.stdout.count(b"\r\n") == 3)
    assert reading.stdout == b"24 80\r\n23 80\r\n24 80\r\n"
