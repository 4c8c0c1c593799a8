"""What a command takes along to the resident, and what comes back."""

import json
import os
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest


def told(answered: Any) -> dict[str, Any]:
    assert answered.status == 0, answered
    facts: dict[str, Any] = json.loads(answered.stdout)
    return facts


def test_words_of_any_bytes_arrive_as_they_were(stage: Any) -> None:
    words = [b"say", b"", b"two words", b"--", b"-c", b"\xff\xfe", "ünï".encode(), b"a\nb", b"x" * 100_000]
    assert [bytes.fromhex(word) for word in told(stage.run(*words))["argv"]] == words


def test_the_longest_words_the_system_takes_arrive(stage: Any) -> None:
    words = [b"say", *[b"y" * 131_000] * 14]
    assert len(told(stage.run(*words))["argv"]) == len(words)


def test_the_environment_is_the_callers_and_is_forgotten(stage: Any) -> None:
    first = told(stage.run("say", env=stage.env(FIRST="one", ODD=os.fsdecode(b"\xff="))))["environment"]
    assert bytes.fromhex(first["FIRST"]) == b"one"
    assert bytes.fromhex(first["ODD"]) == b"\xff="
    assert "FIRST" not in told(stage.run("say"))["environment"]


def test_the_working_directory_is_the_callers(stage: Any, tmp_path: Path) -> None:
    assert told(stage.run("say", cwd=tmp_path))["cwd"] == str(tmp_path)


def test_a_deleted_working_directory_keeps_its_name_and_the_command_runs(stage: Any, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    assert told(stage.shell('rmdir "$1"; exec "$NEXUS" say', str(gone), cwd=gone))["cwd"] == str(gone)


def test_umask_and_limits_are_the_callers(stage: Any) -> None:
    def lower() -> None:
        os.umask(0o027)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))

    facts = told(stage.run("say", preexec_fn=lower))
    assert facts["umask"] == 0o027
    assert facts["limits"][str(resource.RLIMIT_NOFILE)] == [200, 300]
    assert facts["limits"][str(resource.RLIMIT_CPU)] == [resource.RLIM_INFINITY] * 2
    assert set(facts["limits"]) >= {str(getattr(resource, f"RLIMIT_{name}")) for name in ("AS", "CORE", "STACK")}


def test_stdout_stderr_and_status_come_back_apart(stage: Any) -> None:
    answered = stage.run("both")
    assert (answered.status, answered.stdout, answered.stderr) == (3, b"out\n", b"err\n")


@pytest.mark.parametrize("status", [0, 1, 42, 255])
def test_the_exit_status_is_the_commands(stage: Any, status: int) -> None:
    assert stage.run("exit", str(status)).status == status


def test_large_output_is_whole(stage: Any) -> None:
    assert stage.run("flood", "32").stdout == b"0123456789abcdef" * 4096 * 16 * 32


def test_what_a_library_prints_never_reaches_stdout(stage: Any) -> None:
    resident, alone = stage.run("printing"), stage.run("printing", env=stage.env(NEXUS_RESIDENT="0"))
    assert resident.stdout == alone.stdout == b"only this\n"
    for answered in (resident, alone):
        assert b"a library prints\n" in answered.stderr
        assert b"and so does a thread\n" in answered.stderr


@pytest.mark.parametrize("resident", ["1", "0"])
class TestStandardInput:
    def test_reaches_a_command_that_asks(self, stage: Any, resident: str) -> None:
        content = os.urandom(3_000_000)
        assert stage.run("cat", stdin=content, env=stage.env(NEXUS_RESIDENT=resident)).stdout == content

    def test_is_left_alone_by_a_command_that_does_not_ask(self, stage: Any, resident: str) -> None:
        loop = 'while read line; do "$NEXUS" exit 0; echo "$line"; done'
        lines = b"".join(b"line %d\n" % number for number in range(5))
        assert stage.shell(loop, input=lines, env=stage.env(NEXUS_RESIDENT=resident)).stdout == lines

    def test_from_a_file_is_read_no_further_than_asked(self, stage: Any, tmp_path: Path, resident: str) -> None:
        (tmp_path / "in").write_bytes(b"z" * 1_000_000)
        with (tmp_path / "in").open("rb") as file:
            answered = stage.run("head", given=file, env=stage.env(NEXUS_RESIDENT=resident))
            assert len(answered.stdout) == 65_536
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 65_536

    def test_closed_is_at_its_end(self, stage: Any, resident: str) -> None:
        done = stage.shell('exec "$NEXUS" cat <&-', env=stage.env(NEXUS_RESIDENT=resident))
        assert (done.status, done.stdout) == (0, b"")

    def test_over_the_limit_is_an_error(self, stage: Any, resident: str) -> None:
        answered = stage.run("read", "100000", stdin=b"x" * 200_000, env=stage.env(NEXUS_RESIDENT=resident))
        assert (answered.status, json.loads(answered.stdout)) == (2, {"error": "VALIDATION_ERROR"})


def test_a_slow_stdin_does_not_hold_back_what_is_printed(stage: Any) -> None:
    process = stage.start("cat", stdin=subprocess.PIPE)
    for line in (b"one\n", b"two\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline() == line
    assert process.communicate(timeout=20)[0] == b""
    assert process.returncode == 0


def test_without_a_terminal_the_window_is_80_by_24(stage: Any) -> None:
    assert told(stage.run("say", start_new_session=True))["window"] == [80, 24]


def test_a_resident_stays_the_same_process(stage: Any) -> None:
    assert told(stage.run("say"))["pid"] == told(stage.run("say"))["pid"] == stage.pid()
