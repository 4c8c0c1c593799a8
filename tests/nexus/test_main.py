"""A platform that Nexus does not run on is told so in an envelope, and nothing of the platform is missed first."""

import json
import subprocess
import sys

WINDOWS = """
import json, secrets, datetime, runpy, sys
sys.platform = "win32"
for name in ("posix", "fcntl", "pwd", "resource", "termios"):
    sys.modules[name] = None
runpy.run_module("nexus", run_name="__main__")
"""


def test_on_windows_it_says_where_it_runs() -> None:
    done = subprocess.run([sys.executable, "-c", WINDOWS], capture_output=True, timeout=60, check=False)
    assert done.returncode == 8, done.stderr
    envelope = json.loads(done.stdout)
    assert list(envelope) == ["status", "data", "message", "requestId", "timestamp", "errors"]
    assert envelope["errors"][0]["code"] == "RESOURCE_UNAVAILABLE"
