"""kill -9 before any call of the system in a write of a file: the file is as it was, or whole; the next try ends it."""

import json
import subprocess
import sys
from pathlib import Path

from tests.nexus.killed_files import WRITES

ROOT = Path(__file__).parents[2]


def test_files_are_whole_or_as_they_were_wherever_their_writer_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.nexus.killed_files", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[bool]] = json.loads(done.stdout)
    assert found.keys() == WRITES.keys()
    for name, states in found.items():
        assert len(states) > 4, name
        assert states[0] is False, name
        assert states[-1] is True, name
        # Once it is there it stays.
        assert states == sorted(states), name
