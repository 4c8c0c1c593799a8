"""Signals, terminals, and readers that go away."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ
from typing import Any

import pytest

from nexus.launcher.process import LEAVING
from tests.nexus.launcher.conftest import PYTHON, install

BOTH_WAYS = pytest.mark.parametrize("resident", ["1", "0"])


def begun(stage: Any, *words: str, **options: Any) -> "subprocess.Popen[bytes]":
    """Start a staged command and wait until it says that it has begun."""
    process = stage.start(*words, **options)
    assert process.stderr.readline() == b"begun\n"
    return process


@BOTH_WAYS
@pytest.mark.parametrize("number", list(LEAVING))
def test_a_signal_reaches_the_command_whose_answer_is_printed(stage: Any, number: int, resident: str) -> None:
    process = begun(stage, "wait", env=stage.env(NEXUS_RESIDENT=resident), start_new_session=True)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=20)
    assert (process.returncode, json.loads(stdout)) == (128 + number, {"signal": int(number)})


@BOTH_WAYS
def test_a_second_interrupt_leaves_at_once(stage: Any, resident: str) -> None:
    process = begun(stage, "deaf", env=stage.env(NEXUS_RESIDENT=resident), start_new_session=True)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130


@BOTH_WAYS
def test_a_signal_sent_to_the_process_and_to_its_group_is_one_interrupt(stage: Any, resident: str) -> None:
    # As GNU timeout does it: without this the answer to the first is cut off by the second.
    process = begun(stage, "wait", env=stage.env(NEXUS_RESIDENT=resident), start_new_session=True)
    process.send_signal(signal.SIGINT)
    os.killpg(process.pid, signal.SIGINT)
    stdout, _ = process.communicate(timeout=20)
    assert (process.returncode, json.loads(stdout)) == (130, {"signal": int(signal.SIGINT)})


@BOTH_WAYS
def test_signals_that_the_caller_ignores_stay_ignored(stage: Any, resident: str) -> None:
    command = ["/bin/sh", "-c", f'trap "" INT HUP; exec "{stage.script}" slow 1']
    environment = stage.env(NEXUS_RESIDENT=resident)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    stage.started.append(process)
    assert process.stderr is not None
    assert process.stderr.readline() == b"begun\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGHUP)
    stdout, _ = process.communicate(timeout=20)
    assert (process.returncode, json.loads(stdout)["done"]) == (0, True)


def test_sigquit_ends_the_launcher_as_it_ends_any_program(stage: Any, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = begun(stage, "wait", str(mark))
    process.send_signal(signal.SIGQUIT)
    assert process.wait(20) == -signal.SIGQUIT
    until(mark.exists)


def test_when_the_launcher_goes_its_work_is_cancelled(stage: Any, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = begun(stage, "wait", str(mark))
    process.kill()
    until(lambda: mark.exists() and mark.read_text() == "cancelled")


@BOTH_WAYS
def test_a_reader_that_goes_ends_the_command_quietly(stage: Any, resident: str) -> None:
    process = stage.start("forever", env=stage.env(NEXUS_RESIDENT=resident))
    assert process.stdout.readline() == b"1\n"
    process.stdout.close()
    assert process.wait(20) == 141
    assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="wants /dev/full")
@BOTH_WAYS
def test_a_full_disk_under_stdout_is_told_on_stderr(stage: Any, resident: str) -> None:
    with Path("/dev/full").open("wb") as full:
        answered = stage.run("both", stdout=full, env=stage.env(NEXUS_RESIDENT=resident))
    assert answered.status == 5
    told = [json.loads(line) for line in answered.stderr.splitlines() if line.startswith(b"{")]
    assert told[-1]["errors"][0]["code"] == "OUTPUT_FAILED"


@BOTH_WAYS
def test_a_closed_stdout_is_told_on_stderr_and_nothing_else_takes_its_place(stage: Any, resident: str) -> None:
    done = stage.shell('exec "$NEXUS" both >&-', env=stage.env(NEXUS_RESIDENT=resident))
    assert (done.status, done.stdout) == (5, b"")
    assert b"OUTPUT_FAILED" in done.stderr


@BOTH_WAYS
def test_all_standard_ends_closed_still_gives_a_status(stage: Any, resident: str) -> None:
    done = stage.shell('exec "$NEXUS" exit 7 <&- >&- 2>&-', env=stage.env(NEXUS_RESIDENT=resident))
    assert done.status == 7


@BOTH_WAYS
def test_a_stdout_that_does_not_block_gets_everything(stage: Any, resident: str) -> None:
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    process = stage.start("flood", "4", stdout=writes, env=stage.env(NEXUS_RESIDENT=resident))
    os.close(writes)
    time.sleep(0.3)
    with os.fdopen(reads, "rb") as reader:
        assert len(reader.read()) == 4 * 1024 * 1024
    assert process.wait(20) == 0


@BOTH_WAYS
def test_an_interrupt_is_felt_while_nobody_reads(stage: Any, resident: str) -> None:
    process = stage.start("flood", "64", env=stage.env(NEXUS_RESIDENT=resident), start_new_session=True)
    assert process.stdout.read(10) == b"0123456789"
    process.send_signal(signal.SIGTERM)
    # Two of one kind at once would be one.
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel as Linux answers")
def test_a_slow_reader_slows_its_command_and_the_residents_memory_stays_bounded(stage: Any) -> None:
    process = stage.start("flood", "512")
    assert process.stdout.read(1) == b"0"
    time.sleep(0.5)
    facts = json.loads(stage.run("resident").stdout)
    assert facts["peak"] < 100_000
    process.kill()


class Terminal:
    """A command on a controlling terminal of its own."""

    def __init__(self, home: Any, shell: str, columns: int = 101, rows: int = 37) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve("/bin/sh", ["/bin/sh", "-c", shell], home.env())
        ioctl(self.master, TIOCSWINSZ, pack("HHHH", rows, columns, 0, 0))
        self.seen = b""

    def until(self, sought: bytes, seconds: float = 20) -> bytes:
        deadline = time.monotonic() + seconds
        while sought not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65_536)
                except OSError:
                    break
        assert sought in self.seen, self.seen
        return self.seen

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def status(self) -> int:
        """Wait for the shell to end, reading what it prints."""
        deadline = time.monotonic() + 20
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.master)
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.master, 65_536)
                except OSError:
                    time.sleep(0.01)


def test_on_a_terminal_its_size_and_that_it_is_one_are_known(stage: Any) -> None:
    terminal = Terminal(stage, f'sleep 0.3; "{stage.script}" say')
    facts = json.loads(terminal.until(b"}\r\n").splitlines()[-1])
    assert facts["window"] == [101, 37]
    assert facts["terminals"] == [True, True, True]
    assert terminal.status() == 0


def test_the_controlling_terminal_gives_the_size_when_all_ends_are_redirected(stage: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    terminal = Terminal(stage, f'sleep 0.3; "{stage.script}" say </dev/null >{out} 2>/dev/null')
    assert terminal.status() == 0
    facts = json.loads(out.read_bytes())
    assert (facts["window"], facts["terminals"]) == ([101, 37], [False, False, False])


@BOTH_WAYS
def test_an_interrupt_on_a_terminal_stops_a_shells_loop_too(stage: Any, resident: str) -> None:
    environment = f"export NEXUS_RESIDENT={resident};"
    terminal = Terminal(stage, f'{environment} for i in 1 2 3; do "{stage.script}" wait; echo "after $i"; done')
    terminal.until(b"begun")
    terminal.type(b"\x03")
    assert terminal.status() in (-signal.SIGINT, 130)
    assert b'{"signal": 2}' in terminal.seen
    assert b"after" not in terminal.seen


def test_stopped_and_continued_the_command_goes_on(stage: Any) -> None:
    process = begun(stage, "slow", "0.5")
    process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGCONT)
    stdout, _ = process.communicate(timeout=20)
    assert json.loads(stdout)["done"]


def test_stdin_from_a_terminal_ends_with_control_d(stage: Any) -> None:
    terminal = Terminal(stage, f'"{stage.script}" cat; echo "status $?"')
    time.sleep(0.5)
    terminal.type(b"typed\n")
    terminal.until(b"typed\r\ntyped")
    terminal.type(b"\x04")
    terminal.until(b"status 0")
    assert terminal.status() == 0


def until(condition: Any, seconds: float = 20) -> None:
    """Wait for what nothing announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@pytest.mark.parametrize("ignored", [False, True])
def test_an_interrupt_before_the_launcher_takes_signals_ends_it_without_a_traceback(
    homes: Any, tmp_path: Path, ignored: bool
) -> None:
    script = install(tmp_path / "slow")
    places = script.parents[1] / "lib" / PYTHON / "site-packages" / "nexus" / "places.py"
    wait = 'import posix, time\nposix.write(2, b"loading\\n")\ntime.sleep(2 if IGNORED else 60)\n'
    places.write_text(places.read_text().replace("import sys\n", f"IGNORED = {ignored}\n{wait}import sys\n", 1))
    home = homes(script, NEXUS_RESIDENT="0")
    how = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)} if ignored else {}
    process = home.start("version", **how)
    assert process.stderr.readline() == b"loading\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == ((0, b"") if ignored else (-signal.SIGINT, b""))
    assert bool(stdout) is ignored
