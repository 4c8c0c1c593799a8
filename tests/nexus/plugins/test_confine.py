"""Where no kernel walls files off, the audit hook does, from Python; and what is granted is still had."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]

PROGRAM = """
import json, os, socket, subprocess, sys

sys.path.insert(0, sys.argv[1])
from nexus.plugins.worker.confine import _watch
from nexus.plugins.worker.failures import RightMissing

folder = sys.argv[2]
rights = {"read": [sys.prefix, sys.base_prefix, folder + "/open"], "write": [folder + "/own"], "list": [folder],
          "network": False, "processes": False}
tried = {
    "read": lambda: open(folder + "/open/a").read(),
    "read outside": lambda: open(folder + "/secret").read(),
    "read by a link": lambda: open(folder + "/open/link").read(),
    "list": lambda: os.listdir(folder),
    "list outside": lambda: os.listdir("/"),
    "write": lambda: open(folder + "/own/b", "w").close(),
    "write outside": lambda: open(folder + "/open/b", "w").close(),
    "rename outside": lambda: os.rename(folder + "/own/b", folder + "/open/b"),
    "remove outside": lambda: os.remove(folder + "/secret"),
    "connect": lambda: socket.create_connection(("127.0.0.1", 9), 1),
    "spawn": lambda: subprocess.run(["true"]),
    "kill": lambda: os.kill(os.getppid(), 0),
    "import": lambda: __import__("colorsys"),
}
_watch(rights, files=True)
told = {}
for name, attempt in tried.items():
    try:
        attempt()
        told[name] = None
    except RightMissing as missing:
        told[name] = missing.right
    except OSError as error:
        told[name] = type(error).__name__
print(json.dumps(told))
"""


def test_the_audit_hook_alone_holds_what_python_does(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    for name in ("open", "own"):
        (folder / name).mkdir()
    (folder / "open" / "a").write_text("a")
    (folder / "secret").write_text("secret")
    (folder / "open" / "link").symlink_to(folder / "secret")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(ROOT), str(folder)],
        capture_output=True,
        timeout=120,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    assert {name for name, right in told.items() if right is None} == {"read", "list", "write", "import"}
    assert told["read outside"] == told["read by a link"] == f"read:{folder}/secret"
    assert told["write outside"] == told["rename outside"] == f"write:{folder}/open/b"
    assert (told["connect"], told["spawn"], told["kill"]) == ("network", "processes", "processes")
    assert (folder / "secret").exists()
