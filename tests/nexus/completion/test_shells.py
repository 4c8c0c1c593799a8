"""The shells themselves complete, on a terminal, by the script that nexus prints."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.conftest import Shell

SECONDS = 30
PROMPT = "ready>"


class Terminal:
    """A shell on a terminal of its own: keys in, what it shows out."""

    def __init__(self, argv: list[str], environment: dict[str, str], cwd: str) -> None:
        master, slave = pty.openpty()
        self.name = argv[0]
        self._master = master
        self._shown = ""
        self.process = subprocess.Popen(
            # fish wants the terminal to be its own: its controlling one.
            ["setsid", "--ctty", *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={**environment, "TERM": "dumb", "PS1": PROMPT, "COLUMNS": "200"},
        )
        os.close(slave)

    def keys(self, text: str) -> None:
        """Type."""
        self._shown = ""
        os.write(self._master, text.encode())

    def until(self, pattern: str) -> str:
        """Return what is shown, once the pattern is in it."""
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, self._shown):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} never came: {self._shown!r}"
            if select.select([self._master], [], [], left)[0]:
                self._shown += os.read(self._master, 65536).decode(errors="replace")
        return self._shown

    def close(self) -> None:
        """End the shell."""
        self.process.kill()
        self.process.wait(timeout=10)
        os.close(self._master)


SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(nexus completion bash)"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1='ready>'; autoload -U compinit; compinit -u -D; source <(nexus completion zsh)",
    ),
    "fish": (
        ["fish", "--no-config", "-i"],
        "function fish_prompt; echo -n 'ready>'; end; nexus completion fish | source",
    ),
}


@pytest.fixture(params=SHELLS)
def terminal(request: pytest.FixtureRequest, shell: Shell) -> Iterator[Terminal]:
    argv, setup = SHELLS[request.param]
    if shutil.which(argv[0]) is None:
        pytest.fail(f"{argv[0]} is not installed: .ci/run installs it")
    for name in ("alpha demo", "beta"):
        assert shell.run(f"nexus agent project create --name '{name}'").returncode == 0
    terminal = Terminal(argv, shell.environment, str(shell.cwd))
    try:
        terminal.keys(f"{setup}; echo set''up\n")
        terminal.until(r"setup\r?\n")
        yield terminal
    finally:
        terminal.close()


def test_a_command_is_completed_and_run(terminal: Terminal) -> None:
    terminal.keys("nexus vers\t")
    terminal.until("version ")
    terminal.keys("\n")
    terminal.until(r'"status":\s?"ok"|status.*ok')


def test_a_live_name_with_a_blank_is_completed_as_one_word(terminal: Terminal) -> None:
    terminal.keys("nexus agent project view --query name --name al\t")
    terminal.until(r"alpha\\? demo")
    terminal.keys("\n")
    terminal.until(r'"data":\s?"alpha demo"|data.*alpha demo')


def test_a_flag_and_its_value_are_completed(terminal: Terminal) -> None:
    terminal.keys("nexus settings theme set --mo\t")
    terminal.until("--mode ")
    terminal.keys("da\t --dry-run\n")
    terminal.until('"mode":\\s?"dark"|mode.*dark')


def test_several_candidates_are_listed(terminal: Terminal) -> None:
    line = "nexus agent project view --name "
    # fish lists on a terminal that can move the cursor; what it would list it also says.
    terminal.keys(f"complete -C '{line}'\n" if terminal.name == "fish" else f"{line}\t\t")
    assert "alpha" in terminal.until("beta")
