"""Starting a resident: from wherever, one at a time, and inheriting nothing."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nexus import places

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel as Linux answers")
SUDO = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("sudo") is None, reason="only root is somebody that sudo asks no password of"
)


def resident(home: Any, word: str = "say", **options: Any) -> dict[str, Any]:
    answered = home.run(word, **options)
    assert answered.status == 0, answered
    facts: dict[str, Any] = json.loads(answered.stdout)
    return facts


@LINUX
def test_it_inherits_nothing_of_its_first_caller(stage: Any, tmp_path: Path) -> None:
    def burden() -> None:
        os.umask(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 4000))
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR2])

    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        facts = resident(
            stage,
            "resident",
            cwd=tmp_path,
            env=stage.env(SECRET="s3cret", LC_ALL="C"),
            preexec_fn=burden,
            close_fds=False,
        )
    assert facts["cwd"] == "/"
    assert facts["umask"] == 0o077
    assert facts["session"] != os.getsid(0)
    assert facts["status"]["SigBlk"].strip("0") == ""
    assert int(facts["status"]["SigIgn"], 16) & ~(1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)) == 0
    assert facts["dumpable"] == 0
    assert set(facts["environment"]) <= {"PATH", "HOME", "XDG_RUNTIME_DIR", "LC_ALL", "LC_CTYPE"}
    assert str(tmp_path / "open") not in facts["descriptors"].values()
    assert facts["descriptors"]["0"] == "/dev/null"
    assert facts["descriptors"]["1"] == facts["descriptors"]["2"] == f"{stage.path}/state/logs/resident.log"
    limits = {line[:25].strip(): line[25:].split()[:2] for line in facts["limits"].splitlines()}
    assert limits["Max open files"] == ["4000", "4000"]
    assert limits["Max core file size"][0] == "0"
    parent = Path(f"/proc/{facts['pid']}/stat").read_text().rpartition(")")[2].split()[1]
    assert int(parent) != os.getpid()


def test_a_caller_that_may_write_only_small_files_runs_alone(stage: Any) -> None:
    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    answered = stage.run("say", preexec_fn=lower)
    assert answered.status == 0
    assert b"file size" in answered.stderr
    assert stage.locks() == []


@LINUX
def test_idle_it_takes_less_than_its_share_of_memory(home: Any) -> None:
    assert home.run("agent", "project", "list").status == 0
    status = Path(f"/proc/{home.pid()}/status").read_text()
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    assert peak < 120_000


@pytest.mark.parametrize(
    "line",
    [
        'echo "$("$NEXUS" say)"',
        '"$NEXUS" say & wait',
        "sh -c '\"$NEXUS\" say & wait'",
        'nohup "$NEXUS" say 2>/dev/null',
        pytest.param('setsid -w "$NEXUS" say', marks=LINUX),
        'env -i NEXUS_HOME="$NEXUS_HOME" "$NEXUS" say',
        '(ulimit -n 64; ulimit -c 0; umask 777; "$NEXUS" say)',
        'cd / && "$NEXUS" say </dev/null 2>&-',
        'TERM=dumb "$NEXUS" say',
        pytest.param('sudo -n -E "$NEXUS" say', marks=SUDO),
        pytest.param('sudo -n -E env HOME=/ "$NEXUS" say', marks=SUDO),
        'unset HOME; "$NEXUS" say',
        'HOME=/nonexistent "$NEXUS" say',
        'PYTHONPATH=/nonexistent PYTHONHOME=/nonexistent PYTHONSTARTUP=/x PYTHONSAFEPATH= "$NEXUS" say',
    ],
)
def test_it_starts_from_anywhere(stage: Any, line: str) -> None:
    done = stage.shell(line)
    assert (done.status, done.stderr) == (0, b"")
    facts = json.loads(done.stdout)
    assert facts["pid"] == stage.pid()
    assert json.loads(stage.run("say").stdout)["pid"] == facts["pid"]


def test_a_deleted_working_directory_does_not_keep_it_from_starting(stage: Any, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = stage.shell('rmdir "$1"; exec "$NEXUS" say', str(gone), cwd=gone)
    assert json.loads(done.stdout)["pid"] == stage.pid()


def test_modules_in_the_working_directory_are_not_imported(stage: Any, tmp_path: Path) -> None:
    for name in ("json.py", "socket.py", "nexus.py", "asyncio.py", "sitecustomize.py"):
        (tmp_path / name).write_text("raise SystemExit('imported from the working directory')")
    answered = stage.run("say", cwd=tmp_path, env=stage.env(PYTHONPATH=str(tmp_path)))
    assert answered.status == 0
    alone = stage.run("say", cwd=tmp_path, env=stage.env(PYTHONPATH=str(tmp_path), NEXUS_RESIDENT="0"))
    assert alone.status == 0


def test_racing_commands_start_one(stage: Any) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: stage.run("say"), range(12)))
    assert {answered.status for answered in answers} == {0}
    assert {json.loads(answered.stdout)["pid"] for answered in answers} == {stage.pid()}


def test_a_thousand_commands_from_fifty_processes_are_each_answered_right(stage: Any) -> None:
    shell = (
        f'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "{stage.script}" say "$1-$i" || exit 1; done'
    )
    processes = [
        subprocess.Popen(["/bin/sh", "-c", shell, "sh", str(number)], env=stage.env(), stdout=subprocess.PIPE)
        for number in range(50)
    ]
    seen = []
    for number, process in enumerate(processes):
        stdout, _ = process.communicate(timeout=100)
        assert process.returncode == 0
        words = [bytes.fromhex(json.loads(line)["argv"][1]).decode() for line in stdout.splitlines()]
        assert words == [f"{number}-{turn}" for turn in range(1, 21)]
        seen += words
    assert len(set(seen)) == 1000


def test_a_stale_socket_is_replaced(stage: Any) -> None:
    first = resident(stage)["pid"]
    stage.kill()
    assert (stage.path / "run" / "nexus.sock").exists()
    second = resident(stage)["pid"]
    assert second != first


def test_a_socket_path_that_would_be_too_long_is_moved(homes: Callable[..., Any], staged: Path) -> None:
    home = homes(staged)
    long = home.path / ("deep/" * 25) / "home"
    home.environment["NEXUS_HOME"] = str(long)
    home.environment["XDG_RUNTIME_DIR"] = str(home.path)
    home.path.chmod(0o700)
    facts = resident(home)
    (socket,) = (home.path / "nexus").iterdir()
    assert len(os.fsencode(socket)) <= places.LONGEST_SOCKET
    assert facts["pid"] == home.pid()
    assert (long / "state").is_dir()


def test_different_homes_have_different_residents(homes: Callable[..., Any], staged: Path) -> None:
    assert len({resident(homes(staged))["pid"] for _ in range(2)}) == 2


def test_the_same_state_with_another_runtime_folder_finds_the_same_resident(
    homes: Callable[..., Any], staged: Path
) -> None:
    home = homes(staged)
    (home.path / "run").mkdir(mode=0o700)
    home.environment["NEXUS_HOME"] = ""
    with_runtime = resident(home, env=home.env(XDG_RUNTIME_DIR=str(home.path / "run")))
    without = resident(home, env=home.env())
    assert with_runtime["pid"] == without["pid"]
    assert list((home.path / "run" / "nexus").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be somebody else")
class TestOtherUsers:
    def test_a_runtime_folder_of_another_user_is_refused(self, stage: Any) -> None:
        run = stage.path / "run"
        run.mkdir(mode=0o700)
        os.chown(run, 65534, 65534)
        answered = stage.run("say")
        assert (answered.status, answered.code) == (5, "RESIDENT_UNAVAILABLE")
        assert "another user" in answered.envelope["message"]

    def test_a_socket_that_another_user_listens_on_is_refused(self, stage: Any) -> None:
        run = stage.path / "run"
        run.mkdir(mode=0o700)
        script = (
            "import os, socket, sys\n"
            "s = socket.socket(socket.AF_UNIX)\n"
            "os.setuid(65534)\n"
            "s.bind(sys.argv[1]); s.listen(); print('bound', flush=True)\n"
            "s.accept()[0].recv(1 << 20)\n"
        )
        stage.path.chmod(0o755)
        stage.path.parent.chmod(0o711)
        run.chmod(0o777)
        other = subprocess.Popen(
            ["/usr/bin/python3", "-c", script, run / "nexus.sock"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        stage.started.append(other)
        assert other.stdout is not None
        assert other.stdout.readline() == b"bound\n"
        run.chmod(0o700)
        answered = stage.run("say")
        assert (answered.status, answered.code) == (5, "RESIDENT_UNAVAILABLE")
        assert "another user" in answered.envelope["message"]

    def test_a_home_of_another_user_is_left_alone_under_sudo(self, stage: Any) -> None:
        os.chown(stage.path, 65534, 65534)
        environment = stage.env(NEXUS_HOME=None, SUDO_UID="65534", XDG_RUNTIME_DIR=str(stage.path), NEXUS_RESIDENT="0")
        assert stage.run("say", env=environment).status == 0
        assert list(stage.path.iterdir()) == []

    @LINUX
    def test_a_home_that_cannot_be_written_runs_the_command_alone(self, stage: Any, tmp_path: Path) -> None:
        """Root writes everywhere: a folder that no user can make anything in stands for it."""
        environment = stage.env(NEXUS_HOME="/proc/nexus")
        answered = stage.run("say", env=environment)
        assert answered.status == 0
        assert b"cannot be made" in answered.stderr
        assert json.loads(answered.stderr)["level"] == "warning"


@pytest.mark.parametrize("wrong", ["link", "file", "open"])
def test_a_runtime_folder_that_cannot_be_trusted_is_refused(stage: Any, tmp_path: Path, wrong: str) -> None:
    run = stage.path / "run"
    if wrong == "link":
        (stage.path / "elsewhere").mkdir(mode=0o700)
        run.symlink_to(stage.path / "elsewhere")
    elif wrong == "file":
        run.write_text("")
    else:
        run.mkdir()
        run.chmod(0o777)
    answered = stage.run("say")
    assert (answered.status, answered.code) == (5, "RESIDENT_UNAVAILABLE")
    assert answered.envelope["errors"][0]["details"]["hint"]


def test_a_resident_that_cannot_start_is_replaced_by_a_run_alone(
    homes: Callable[..., Any], staged: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(staged.parents[1], broken, symlinks=True)
    (process,) = broken.glob("lib/*/site-packages/nexus/resident/process.py")
    process.write_text("raise ImportError('half an installation')\n")
    home = homes(broken / "bin" / "nexus")
    answered = home.run("say")
    assert answered.status == 0
    warning = json.loads(answered.stderr)
    assert "does not start" in warning["message"]
    assert "half an installation" in warning["message"]


def test_a_users_systemd_that_refuses_does_not_keep_it_from_starting(homes: Callable[..., Any], staged: Path) -> None:
    home = homes(staged)
    home.path.chmod(0o700)
    (home.path / "systemd").mkdir()
    (home.path / "systemd" / "private").write_text("")
    assert resident(home, env=home.env(XDG_RUNTIME_DIR=str(home.path)))["pid"] == home.pid()
