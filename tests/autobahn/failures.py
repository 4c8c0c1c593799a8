"""Prints the cases that the Autobahn test suite failed, and exits 1 when there are any."""

import json
import sys
from pathlib import Path

PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}


def failures(index: Path) -> list[str]:
    """Return the ids of the failed cases."""
    cases = json.loads(index.read_text())["nexus"]
    return [case for case, told in cases.items() if not {told["behavior"], told["behaviorClose"]} <= PASSED]


if __name__ == "__main__":
    failed = failures(Path(sys.argv[1]))
    print("\n".join(failed) or "no failure")
    sys.exit(bool(failed))
