"""A resident's life under its commands: killed, drained, upgraded, idle, without its socket, without an answer."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest


def begun(stage: Any, *words: str, **options: Any) -> "subprocess.Popen[bytes]":
    process = stage.start(*words, **options)
    assert process.stderr.readline() == b"begun\n"
    return process


def until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


class TestKilled:
    def test_a_command_that_printed_nothing_is_handed_to_the_next_one(self, stage: Any) -> None:
        answered = stage.run("die", "first")
        assert (answered.status, json.loads(answered.stdout)) == (0, {"again": True})

    def test_a_second_death_is_told(self, stage: Any) -> None:
        answered = stage.run("die")
        assert (answered.status, answered.code) == (5, "OUTCOME_UNKNOWN")

    def test_after_output_nothing_is_added_to_it(self, stage: Any) -> None:
        answered = stage.run("die", "printed")
        assert (answered.status, answered.stdout) == (5, b'{"partial":')
        assert json.loads(answered.stderr)["errors"][0]["code"] == "OUTCOME_UNKNOWN"

    def test_a_command_that_has_read_stdin_is_not_begun_again(self, stage: Any) -> None:
        process = stage.start("cat", stdin=subprocess.PIPE)
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"
        stage.kill()
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 5
        assert b"OUTCOME_UNKNOWN" in stderr

    def test_from_outside_every_command_ends(self, stage: Any) -> None:
        waiting = [begun(stage, "slow", "2") for _ in range(5)]
        killed = stage.kill()
        for process in waiting:
            stdout, _ = process.communicate(timeout=30)
            assert process.returncode == 0
            assert json.loads(stdout)["pid"] != killed

    def test_while_being_started_again_and_again_commands_are_answered(self, stage: Any) -> None:
        def command(number: int) -> int:
            answered = stage.run("say", str(number))
            if answered.status == 0:
                assert bytes.fromhex(json.loads(answered.stdout)["argv"][1]) == b"%d" % number
            else:
                assert answered.code in ("OUTCOME_UNKNOWN", "RESIDENT_UNAVAILABLE")
            return int(answered.status)

        stage.run("say")
        with ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(command, number) for number in range(60)]
            for _ in range(3):
                time.sleep(0.4)
                try:
                    os.kill(stage.pid(), signal.SIGKILL)
                except (ProcessLookupError, ValueError):
                    continue
            statuses = [each.result() for each in asked]
        assert statuses.count(0) > 40


class TestDraining:
    def test_what_is_under_way_finishes_and_new_commands_wait_for_the_next(self, stage: Any) -> None:
        running = begun(stage, "slow", "1.5")
        old = stage.pid()
        os.kill(old, signal.SIGTERM)
        time.sleep(0.1)
        facts = json.loads(stage.run("say").stdout)
        assert facts["pid"] != old
        stdout, _ = running.communicate(timeout=20)
        assert (running.returncode, json.loads(stdout)["pid"]) == (0, old)

    def test_the_socket_and_the_lock_are_let_go(self, stage: Any) -> None:
        stage.run("say")
        pid = stage.pid()
        os.kill(pid, signal.SIGTERM)
        assert stage.gone(pid)
        assert list((stage.path / "run").iterdir()) == []
        assert stage.locks() == []

    def test_a_command_that_does_not_finish_is_terminated(self, stage: Any) -> None:
        running = begun(stage, "wait")
        pid = stage.pid()
        os.kill(pid, signal.SIGTERM)
        stdout, _ = running.communicate(timeout=30)
        assert (running.returncode, json.loads(stdout)) == (143, {"signal": 15})
        assert stage.gone(pid)

    def test_a_command_that_never_ends_does_not_keep_it(self, stage: Any) -> None:
        running = begun(stage, "stubborn")
        pid = stage.pid()
        os.kill(pid, signal.SIGTERM)
        assert stage.gone(pid, 40)
        running.communicate(timeout=60)
        assert running.returncode != 0

    def test_a_blocked_thread_does_not_keep_it(self, stage: Any) -> None:
        running = begun(stage, "block", "100")
        running.kill()
        pid = stage.pid()
        os.kill(pid, signal.SIGTERM)
        assert stage.gone(pid, 20)


class TestUpgrade:
    @pytest.fixture
    def own(self, homes: Callable[..., Any], staged: Path, tmp_path: Path) -> Any:
        """A home with an installation of its own, which a test may change."""
        prefix = tmp_path / "own"
        shutil.copytree(staged.parents[1], prefix, symlinks=True)
        return homes(prefix / "bin" / "nexus")

    def test_an_installation_that_was_replaced_is_not_answered_by_old_code(self, own: Any) -> None:
        old = json.loads(own.run("say").stdout)["pid"]
        site = next(own.script.parents[1].glob("lib/*/site-packages"))
        run = site / "nexus" / "cli" / "run.py"
        run.write_text(run.read_text().replace("again=call.again", 'again="new code"'))
        assert json.loads(own.run("say").stdout)["pid"] == old
        next(site.glob("nexus_cli-*.dist-info/RECORD")).write_text("written anew\n")
        facts = json.loads(own.run("say").stdout)
        assert facts["pid"] != old
        assert facts["again"] == "new code"

    def test_a_checkout_is_looked_at_file_by_file(self, own: Any) -> None:
        site = next(own.script.parents[1].glob("lib/*/site-packages"))
        shutil.rmtree(next(site.glob("nexus_cli-*.dist-info")))
        old = json.loads(own.run("say").stdout)["pid"]
        assert json.loads(own.run("say").stdout)["pid"] == old
        run = site / "nexus" / "cli" / "run.py"
        run.write_text(run.read_text().replace("again=call.again", 'again="new code"'))
        facts = json.loads(own.run("say").stdout)
        assert (facts["again"], facts["pid"] != old) == ("new code", True)

    def test_another_version_takes_over(self, own: Any, stage: Any) -> None:
        stage.environment["NEXUS_HOME"] = str(own.path)
        old = json.loads(own.run("say").stdout)["pid"]
        new = json.loads(stage.run("say").stdout)["pid"]
        assert old != new
        assert own.pid() == new

    def test_an_owner_that_does_not_yield_is_a_conflict(self, own: Any, stage: Any) -> None:
        stage.environment["NEXUS_HOME"] = str(own.path)
        running = begun(own, "slow", "60")
        site = next(own.script.parents[1].glob("lib/*/site-packages"))
        next(site.glob("nexus_cli-*.dist-info/RECORD")).write_text("written anew\n")
        first = own.start("say")
        until(lambda: b"begun" != b"")
        time.sleep(0.5)
        os.kill(own.pid(), signal.SIGSTOP)
        answered = stage.run("say")
        first.communicate(timeout=60)
        assert first.returncode == 6
        assert answered.status in (5, 6)
        running.kill()


class TestIdle:
    def test_it_leaves_when_nothing_was_asked_for_long_enough(self, stage: Any) -> None:
        stage.run("say", env=stage.env(NEXUS_RUNTIME_IDLE="0.5"))
        assert stage.gone(stage.pid(), 10)

    def test_how_long_can_be_set(self, stage: Any) -> None:
        settings = stage.path / "config" / "config.toml"
        settings.parent.mkdir()
        settings.write_text("[runtime]\nidle = 0.5\n")
        stage.run("say")
        assert stage.gone(stage.pid(), 10)

    def test_it_stays_while_a_command_is_under_way(self, stage: Any) -> None:
        running = begun(stage, "slow", "2", env=stage.env(NEXUS_RUNTIME_IDLE="0.3"))
        pid = stage.pid()
        stdout, _ = running.communicate(timeout=20)
        assert json.loads(stdout)["pid"] == pid
        assert stage.gone(pid, 10)

    def test_commands_that_come_while_it_leaves_are_answered(self, stage: Any) -> None:
        environment = stage.env(NEXUS_RUNTIME_IDLE="0.03")
        for number in range(25):
            answered = stage.run("say", str(number), env=environment)
            assert answered.status == 0, answered
            time.sleep(0.01)


class TestSocketLost:
    def test_a_woken_resident_binds_again(self, stage: Any) -> None:
        pid = json.loads(stage.run("say").stdout)["pid"]
        shutil.rmtree(stage.path / "run")
        assert json.loads(stage.run("say").stdout)["pid"] == pid

    def test_by_itself_too(self, stage: Any) -> None:
        stage.run("say")
        (stage.path / "run" / "nexus.sock").unlink()
        until((stage.path / "run" / "nexus.sock").exists)

    def test_when_its_whole_home_was_removed_it_leaves(self, stage: Any) -> None:
        stage.run("say")
        pid = stage.pid()
        shutil.rmtree(stage.path)
        assert stage.gone(pid, 20)

    def test_a_socket_that_was_replaced_is_taken_back(self, stage: Any) -> None:
        pid = json.loads(stage.run("say").stdout)["pid"]
        path = stage.path / "run" / "nexus.sock"
        path.unlink()
        stranger = socket.socket(socket.AF_UNIX)
        stranger.bind(str(path))
        stranger.close()
        assert json.loads(stage.run("say").stdout)["pid"] == pid


def test_one_command_that_blocks_a_thread_holds_up_no_other(stage: Any) -> None:
    blocked = begun(stage, "block", "60")
    assert stage.run("say").status == 0
    assert blocked.poll() is None
    blocked.kill()


def test_many_that_block_hold_up_no_other(stage: Any) -> None:
    blocked = [begun(stage, "block", "60") for _ in range(20)]
    assert stage.run("block", "0").status == 0
    assert {process.poll() for process in blocked} == {None}


def test_its_log_stays_small(stage: Any) -> None:
    stage.run("noise")
    log = stage.path / "state" / "logs" / "resident.log"
    until(lambda: log.with_name("resident.log.1").exists() and log.stat().st_size < 1000)
    stage.run("noise")
    assert log.stat().st_size > 1_000_000


def test_a_fault_in_the_dispatcher_is_an_envelope(stage: Any) -> None:
    answered = stage.run("fail")
    assert (answered.status, answered.code) == (1, "INTERNAL_ERROR")
    log = (stage.path / "state" / "logs" / "resident.log").read_text()
    assert "a fault of the dispatcher" in log


def test_a_resident_that_is_stopped_is_told_after_a_while(stage: Any) -> None:
    stage.run("say")
    os.kill(stage.pid(), signal.SIGSTOP)
    answered = stage.run("say")
    os.kill(stage.pid(), signal.SIGCONT)
    assert (answered.status, answered.code) == (5, "RESIDENT_UNAVAILABLE")


@pytest.mark.parametrize(
    "sent",
    [b"\x00\xff\xff\xff\xff", b"\x00\x00\x00\x00\x05hello", b"\x00\x00\x00\x00\x02\x31\x00", b"\x07" * 40, b"\x00"],
)
def test_what_is_no_hello_harms_nobody(stage: Any, sent: bytes) -> None:
    stage.run("say")
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(stage.path / "run" / "nexus.sock"))
        stranger.sendall(sent)
        assert stage.run("say").status == 0
