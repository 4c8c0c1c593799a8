"""The table of attacks names tests that are there, and every test of attacks is in it."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOLD = set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "docs" / "attacks.md").read_text("utf-8")))
ALL_TOLD = ("tests/kernel/server/test_schemathesis.py", "tests/kernel/server/test_killed_writes.py")


def names_in(path: str) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)", (ROOT / path).read_text("utf-8"), re.M))


def test_each_attack_has_a_test_that_is_there() -> None:
    assert len(TOLD) > 30
    assert {(path, name) for path, name in TOLD if name not in names_in(path)} == set()


def test_no_test_of_an_attack_is_left_out() -> None:
    for path in ALL_TOLD:
        assert names_in(path) == {name for there, name in TOLD if there == path}
