"""An attach at a real terminal: tmux is the terminal, presses the keys and reads the screen."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from tests.conftest import Shell

PATIENCE = 40.0
COLUMNS, ROWS = 90, 28

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Desk:
    """A terminal emulator with a shell in it, whose prompt is `desk> `."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self._name = f"nexus-{uuid.uuid4().hex[:12]}"
        environment = {**shell.environment, "PS1": "desk> ", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        words = [f"{name}={value}" for name, value in environment.items()]
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        self._tmux("new-session", "-d", *size, "env", "-i", *words, "bash", "--norc", "--noprofile", cwd=shell.cwd)
        self._tmux("set", "-g", "status", "off")
        self.until(lambda: "desk>" in self.screen)

    def keys(self, *keys: str) -> None:
        """Press keys; a text that is no key's name is typed."""
        self._tmux("send-keys", *keys)

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def screen(self) -> str:
        """What is on the screen, without the empty lines at its end."""
        return self._tmux("capture-pane", "-p").rstrip("\n")

    @property
    def last(self) -> str:
        """The last line on the screen."""
        return self.screen.rpartition("\n")[2]

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, self.screen
            time.sleep(0.02)

    def shows(self, text: str) -> None:
        self.until(lambda: text in self.screen)

    def attach(self) -> None:
        self.keys("clear; nexus agent terminal attach", "Enter")

    def attached_pid(self) -> int:
        """The process of the command that is attached."""
        pane = int(self._tmux("display", "-p", "#{pane_pid}"))
        return next(child.pid for child in psutil.Process(pane).children() if "attach" in child.cmdline())

    def close(self) -> None:
        self._tmux("kill-server")

    def _tmux(self, *words: str, cwd: Path | None = None) -> str:
        command = ["tmux", "-L", self._name, "-f", "/dev/null", *words]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.fixture
def desk(shell: Shell) -> Iterator[Desk]:
    """A desk beside a project with an open terminal, whose shell's prompt is `there> `."""
    script = shell.cwd / "quiet"
    script.write_text("#!/bin/sh\nPS1='there> ' exec bash --norc --noprofile -i\n")
    script.chmod(0o755)
    made = shell.run(
        f"nexus agent project create --name demo --select >/dev/null; nexus agent terminal open --shell '{script}'",
        environment={"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
    )
    assert made.returncode == 0, made.stdout
    desk = Desk(shell)
    yield desk
    desk.close()


def resident_of(shell: Shell) -> int:
    answer = shell.run("nexus debug kernel status")
    return int(json.loads(answer.stdout)["data"]["pid"])


def readers(shell: Shell) -> int:
    answer = shell.run('nexus session live view "$(nexus session list | jq -r ".data.items[0].sessionId")"')
    return int(json.loads(answer.stdout)["data"]["readers"])


def test_every_key_reaches_the_program_and_detaching_leaves_it_at_work(desk: Desk) -> None:
    desk.keys("stty -a | cksum", "Enter")
    desk.until(lambda: desk.screen.count("desk>") == 2)
    before = desk.screen.splitlines()[1]
    desk.attach()
    desk.until(lambda: desk.last == "there>")
    desk.keys("word=kept; stty size", "Enter")
    desk.shows(f"{ROWS} {COLUMNS}")
    desk.keys("sleep 1000", "Enter")
    desk.shows("sleep 1000")
    desk.keys("C-c")
    desk.shows("^C")
    desk.until(lambda: desk.last == "there>")
    desk.keys("C-\\")
    desk.shows("[detached: nexus agent terminal attach --session-id ses_")
    desk.until(lambda: desk.last == "desk>")
    desk.keys("clear; stty -a | cksum", "Enter")
    desk.shows(before)
    desk.attach()
    desk.until(lambda: desk.last == "there>")
    desk.keys("echo still=$word", "Enter")
    desk.shows("still=kept")
    desk.keys("exit 5", "Enter")
    desk.shows("[exited with code 5]")
    desk.until(lambda: desk.last == "desk>")


def test_a_new_size_reaches_the_program(desk: Desk) -> None:
    desk.attach()
    desk.until(lambda: desk.last == "there>")
    desk.resize(70, 20)
    desk.keys("stty size", "Enter")
    desk.shows("20 70")


def test_a_flood_is_interrupted_at_once(desk: Desk) -> None:
    desk.attach()
    desk.until(lambda: desk.last == "there>")
    desk.keys("yes", "Enter")
    desk.until(lambda: desk.screen.count("\ny") > 10)
    desk.keys("C-c")
    desk.until(lambda: desk.last == "there>")  # how soon, 300 ms at the most, is the benchmark's to say


PROGRAMS = {
    "vim": ("vim -u NONE -N numbers", "number 27", ":q\n"),
    "less": ("less numbers", "number 27", "q"),
    "top": ("top -d 60", "PID", "q"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_full_screen_program_looks_the_same_after_a_re_attach(desk: Desk, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    command, shown, leave = PROGRAMS[program]
    (desk.shell.cwd / "numbers").write_text("".join(f"number {number}\n" for number in range(1, 200)))
    desk.attach()
    desk.until(lambda: desk.last == "there>")
    desk.keys(f"cd '{desk.shell.cwd}'; clear; {command}", "Enter")
    desk.shows(shown)
    stable = settled(desk)
    desk.keys("C-\\")
    desk.shows("[detached:")
    desk.attach()
    if program == "top":  # its numbers change
        desk.until(lambda: shown in desk.screen and "detached" not in desk.screen)
    else:
        # The last line is the program's own words, which it does not say twice.
        desk.until(lambda: desk.screen.splitlines()[: ROWS - 1] == stable.splitlines()[: ROWS - 1])
    desk.keys(leave)
    desk.until(lambda: desk.last == "there>")


def settled(desk: Desk) -> str:
    """The screen, once it has stayed the same for half a second."""
    seen = [desk.screen]

    def same() -> bool:
        time.sleep(0.1)
        seen.append(desk.screen)
        return len(seen) > 5 and len(set(seen[-5:])) == 1

    desk.until(same)
    return seen[-1]


def test_the_terminal_goes_on_over_the_death_of_the_resident(desk: Desk) -> None:
    desk.attach()
    desk.until(lambda: desk.last == "there>")
    desk.keys("word=kept; echo on", "Enter")
    desk.shows("\non")
    shown = desk.screen
    os.kill(resident_of(desk.shell), signal.SIGKILL)
    desk.until(lambda: readers(desk.shell) == 1)
    desk.until(lambda: desk.screen == shown)
    desk.keys("echo still=$word", "Enter")
    desk.shows("still=kept")
    desk.keys("C-\\")
    desk.shows("[detached")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(desk: Desk, number: int) -> None:
    desk.keys("stty -a | cksum", "Enter")
    desk.until(lambda: desk.screen.count("desk>") == 2)
    before = desk.screen.splitlines()[1]
    desk.attach()
    desk.until(lambda: desk.last == "there>")
    os.kill(desk.attached_pid(), number)
    desk.until(lambda: desk.last.startswith("desk>"))
    desk.keys("clear; stty -a | cksum", "Enter")
    desk.shows(before)


def test_where_stdout_is_no_terminal_events_are_printed(desk: Desk) -> None:
    kept = desk.shell.cwd / "kept"
    desk.keys(f"nexus agent terminal attach --limit 2 > '{kept}'; echo done", "Enter")
    desk.shows("\ndone")
    assert json.loads(kept.read_text().splitlines()[0])["event"] == "metadata"
