"""What the program is told is what a step has, and what it cannot keep to it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.nexus.confinement.conftest import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nexus.confinement.conftest import Steps

every_kind = pytest.mark.parametrize("steps", ["bubblewrap", "landlock"], indirect=True)
UNWALLED = 125


@every_kind
def test_a_folder_with_a_hidden_one_in_it_does_not_show_it(steps: Steps, tmp_path: Path) -> None:
    given, secret = tmp_path / "given", tmp_path / "given" / "below" / "secret"
    secret.mkdir(parents=True)
    (given / "open").write_text("open\n")
    (secret / "key").write_text("secret")
    (given / "below" / "credentials").write_text("secret")
    (tmp_path / "another name").symlink_to(given)
    hidden = [str(secret), str(given / "below" / "credentials")]
    program = "cat open; cd below && cat secret/key credentials; ls -A secret; echo > secret/mine"
    for named in (given, tmp_path / "another name"):
        status, out, said = steps.run("sh", "-c", f"cd '{named}' && {program}", read=[str(named)], hidden=hidden)
        if steps.kind == "landlock":
            assert (status, out) == (UNWALLED, "")
            assert said.count("\n") == 1
            assert "hidden" in said
        else:
            assert out == "open\n"
            assert "secret/key" in said
            assert "Read-only" in said


@every_kind
def test_a_folder_in_a_hidden_one_is_there_where_it_was_named(steps: Steps) -> None:
    """As a step's own is, in the kernel's."""
    (steps.folder / "other").mkdir()
    (steps.folder / "other" / "key").write_text("secret")
    program = "echo mine > file; cat file; cat ../other/key"
    status, out, _ = steps.run("sh", "-c", program, hidden=[str(steps.folder)])
    assert (status, out) == (1, "mine\n")
    assert (steps.work / "file").read_text() == "mine\n"
    for named in ("read", "write"):
        assert steps.run("true", hidden=[str(steps.work)], **{named: [str(steps.work)]})[0] == UNWALLED


@every_kind
def test_walls_that_cannot_be_made_are_told_in_one_line(steps: Steps) -> None:
    gone = str(steps.folder / "gone")
    for told in ({"read": [gone]}, {"cwd": gone}, {"cwd": "here"}, {"argv": []}, {"kind": "paper"}, {"files": "x"}):
        status, out, said = steps.run("true", **told)
        assert (status, out, said.count("\n")) == (UNWALLED, "", 1), told
    # bubblewrap says itself what it could not do; the last line is the program's.
    status, out, said = steps.run("true", cwd="/var")
    if steps.kind == "bubblewrap":
        assert (status, out, said.splitlines()[-1].partition(" ")[0]) == (UNWALLED, "", "nexus:")
    (steps.folder / "spec.json").write_text("[")
    done = subprocess.run([*COMMAND, str(steps.folder / "spec.json")], capture_output=True, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (UNWALLED, 1)


@every_kind
def test_a_step_that_takes_more_memory_than_it_may_ends(steps: Steps) -> None:
    takes = "import sys; kept = bytearray(int(sys.argv[1]) << 20); print(len(kept) >> 20)"
    within = steps.run("python3", "-c", takes, "20", memoryMib=128)
    assert within[:2] == (0, "20\n"), within
    status, out, said = steps.run("python3", "-c", takes, "200", memoryMib=128)
    assert (status, out) == (1, "")
    assert "MemoryError" in said


@every_kind
def test_a_step_has_its_limits_its_folder_and_the_machines_programs(steps: Steps) -> None:
    program = "pwd; ulimit -n; ulimit -c; echo $PPID > parent; head -c 3 /dev/zero | wc -c; echo x > /dev/null"
    status, out, said = steps.run("sh", "-c", program)
    assert (status, out.split(), said) == (0, [str(steps.work), "256", "0", "3"], "")
    for read in (["/etc"], ["/usr/share", "/usr"], ["/"]):
        assert steps.run("true", read=read) == (0, "", ""), read
    # Pairs of sockets, processes of its own and threads are what programs are made of.
    builds = (
        "import asyncio, subprocess, threading, tempfile\n"
        "async def main():\n"
        "    process = await asyncio.create_subprocess_exec('sh', '-c', 'exit 15')\n"
        "    print(await process.wait())\n"
        "asyncio.run(main())\n"
        "thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()\n"
    )
    assert steps.run("python3", "-c", builds) == (0, "15\nthread\n", "")


@every_kind
def test_modes_and_times_are_changed_of_what_is_a_steps_own(steps: Steps) -> None:
    program = """
import os, shutil, stat
shutil.copy2("/usr/bin/env", "copy")
os.symlink("copy", "link")
here = os.open(".", os.O_RDONLY)
tried = (
    lambda: os.chmod("copy", 0o750),
    lambda: os.chmod(os.path.abspath("copy"), 0o751),
    lambda: os.chmod("link", 0o752),
    lambda: os.chmod("copy", 0o753, dir_fd=here),
    lambda: os.fchmod(os.open("copy", os.O_RDONLY), 0o754),
)
for change in tried:
    change()
    print(oct(stat.S_IMODE(os.stat("copy").st_mode)))
for change in (lambda: os.utime("copy", (5, 5)), lambda: os.utime(os.open("copy", os.O_RDONLY), (6, 6))):
    change()
    print(int(os.stat("copy").st_mtime))
os.utime("link", (7, 7), follow_symlinks=False)
print(int(os.lstat("link").st_mtime))
os.chown("copy", os.getuid(), -1)
for change in (lambda: os.chmod("gone", 0o700), lambda: os.utime("gone")):
    try:
        change()
    except FileNotFoundError:
        print("gone")
"""
    told = ["0o750", "0o751", "0o752", "0o753", "0o754", "5", "6", "7", "gone", "gone"]
    status, out, said = steps.run("python3", "-c", program)
    assert (status, out.split(), said) == (0, told, "")


def filtered(able: dict[str, Any], program: str) -> str:
    """Return what a program prints that puts itself behind a filter."""
    if not able["landlock"]["works"]:
        pytest.skip(able["landlock"]["reason"])
    begins = "import os, sys\nsys.path.append(sys.argv[1])\nfrom nexus.confinement import seccomp, system\n"
    words = [sys.executable, "-c", f"{begins}system.give_up_privileges()\n{program}", COMMAND[-1].rsplit("/", 3)[0]]
    done = subprocess.run(words, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_where_signals_have_no_scope_none_are_sent(able: dict[str, Any]) -> None:
    """An older Landlock cannot tell a step's processes from others: the filter refuses all signals, then."""
    program = """
assert seccomp.restrict(network=False, processes=True, sharing=False, signals=False)
for number in (0, 15):
    try:
        os.kill(os.getpid(), number)
    except PermissionError:
        print("refused")
"""
    assert filtered(able, program) == "refused\nrefused\n"


def test_where_nobody_can_be_asked_no_mode_is_changed(able: dict[str, Any], tmp_path: Path) -> None:
    """One process alone answers what filters ask: in some containers that is another."""
    program = f"""
assert seccomp.supervised(network=False, signals=True) >= 0
assert seccomp.supervised(network=False, signals=True) == -1
for change in (lambda: os.chmod({str(tmp_path)!r}, 0o777), lambda: os.utime({str(tmp_path)!r})):
    try:
        change()
    except PermissionError:
        print("refused")
"""
    assert filtered(able, program) == "refused\nrefused\n"


def test_the_probe_says_what_there_is(able: dict[str, Any]) -> None:
    assert able.keys() == {"bubblewrap", "landlock", "env", "landlockVersion"}
    for kind in ("bubblewrap", "landlock"):
        assert able[kind]["works"] or able[kind]["reason"]
    assert json.dumps(able)
