"""Every example of every command works as it is written, on a fresh home, after the lines that it needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

import pytest

from nexus.registry.index import CommandIndex
from nexus.schemas.command import Change, Effect

if TYPE_CHECKING:
    from nexus.schemas.command import CommandSpec
    from tests.conftest import Shell

COMMANDS = CommandIndex.built_in().commands()

TEXTS = (("completion",), ("skill",))
"""What prints a text for a shell or a file, and no envelope."""


def says_what_it_did(spec: CommandSpec) -> bool:
    """Say whether a command changes something itself: not the ways in, whose commands say it, nor `exec`'s."""
    return bool({Effect.WRITE, Effect.DESTRUCTIVE} & set(spec.effects)) and not (
        spec.command_line_only or spec.path == ("exec",)
    )


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: " ".join(spec.path))
def test_the_examples_of_a_command_work(spec: CommandSpec, shell: Shell) -> None:
    assert spec.examples
    for number, example in enumerate(spec.examples):
        home = {"NEXUS_HOME": f"{shell.environment['NEXUS_HOME']} {number}", "NEXUS_RESIDENT": "0"}
        for line in example.needs:
            prepared = shell.run(line, environment=home)
            assert prepared.returncode == 0, (line, prepared.stdout, prepared.stderr)
        done = shell.run(example.line, environment=home)
        assert done.returncode == 0, (example.line, done.stdout, done.stderr)
        if spec.path == ("mcp", "serve"):
            # Its protocol alone is printed, and nobody asked anything.
            assert not done.stdout
            continue
        if spec.path in TEXTS:
            assert done.stdout
            continue
        # A stream's last line is its close; an answer is one line.
        told = json.loads(done.stdout.splitlines()[-1])
        assert told.get("event", told.get("status")) in ("close", "ok")
        if "status" in told and says_what_it_did(spec) and "--dry-run" not in example.line:
            assert told["data"]["change"] in get_args(Change), example.line
