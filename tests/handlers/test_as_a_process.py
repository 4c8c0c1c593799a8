"""The commands as processes: every kind of answer and of error, the same from a resident as from one process alone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Shell

STORY = (
    (0, "nexus agent project create --name demo --description 'A try' --select"),
    (6, "nexus agent project create --name demo"),
    (2, "nexus agent project create"),
    (2, "nexus agent project view --id a --name b"),
    (4, "nexus agent project view --name dema"),
    (4, "nexus agent project view --id prj_none"),
    (2, "nexus agent project list --limit 0"),
    (2, "nexus agent project list --bogus"),
    (4, "nexus agent projct list"),
    (0, "nexus agent project"),
    (0, "nexus agent project update --id demo --status paused"),
    (2, "nexus agent project update --id demo --theme '{'"),
    (7, "nexus agent chat list"),
    (0, "nexus agent roadmap create --title Release --tags a,b --select"),
    (0, "nexus agent chat create --title Kickoff --select"),
    (0, r"printf 'ein\ngruß' | nexus agent chat send --message -"),
    (2, r"printf '\377' | nexus agent chat send --message -"),
    (0, "nexus agent chat messages"),
    (0, "nexus agent roadmap status"),
    (0, "nexus agent file write --path a/b.txt --content x"),
    (0, "nexus agent file read --path a/b.txt"),
    (2, "nexus agent file read --path ../a"),
    (4, "nexus agent file read --path none"),
    (6, f"nexus agent file write --path a/b.txt --content y --expected-sha256 {'0' * 64}"),
    (5, "nexus agent file open --path a/b.txt --editor false"),
    (0, "nexus settings theme set --mode dark"),
    (4, "nexus settings config get --key no.key"),
    (0, "nexus settings context view"),
    (2, "nexus agent project delete --name demo"),
    (0, "nexus agent project delete --name demo --dry-run"),
    (0, "nexus agent project delete --name demo --yes"),
    (7, "nexus agent roadmap list"),
    (0, "nexus schema agent file read"),
    (0, "nexus help agent file read --output yaml"),
    (2, "nexus version --output pink"),
)

OWN = (
    (re.compile(rb"\b([a-z]{3})_[0-9a-f]{24,32}\b"), rb"\1_ID"),
    (re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z"), b"TIME"),
    (re.compile(rb'"pid": ?\d+'), b'"pid":0'),
    (re.compile(rb"(/[\w .-]+)*/nexus home( alone)?"), b"HOME"),
)
"""What may differ between two runs: ids, times, process numbers, and where the home is."""


def told(shell: Shell, environment: Mapping[str, str]) -> list[tuple[str, int, bytes]]:
    answers = []
    for _, line in STORY:
        done = shell.run(line, environment=environment)
        said = done.stdout
        for pattern, plain in OWN:
            said = pattern.sub(plain, said)
        answers.append((line, done.returncode, said))
    return answers


def test_the_answers_are_the_same_with_a_resident_and_without(shell: Shell) -> None:
    resident = told(shell, {})
    assert [(line, status) for line, status, _ in resident] == [(line, status) for status, line in STORY]
    alone = {"NEXUS_RESIDENT": "0", "NEXUS_HOME": f"{shell.environment['NEXUS_HOME']} alone"}
    assert told(shell, alone) == resident


def test_standard_output_is_one_envelope_and_its_exit_code_is_the_process_s(shell: Shell) -> None:
    for status, line in STORY:
        done = shell.run(line)
        if "yaml" in line:
            continue
        envelope = json.loads(done.stdout)
        assert list(envelope) == ["status", "data", "message", "requestId", "timestamp", "errors"], line
        assert done.returncode == status, line
        if status:
            assert envelope["errors"][0]["details"]["exitCode"] == status, line
            assert envelope["message"] == envelope["errors"][0]["message"], line
