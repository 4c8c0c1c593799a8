"""Which walls this machine has: each is tried on a program that does what it must not be able to."""

import json
import os
import subprocess
import sys
import tempfile
from os.path import realpath
from typing import Any

from nexus.confinement import landlock

SECONDS = 20.0
"""For each kind; a machine that has none of it says so at once."""

_TRIES = """
import os, socket, sys
secret, outside, own = sys.argv[1:4]
def works(what):
    try:
        what()
    except OSError:
        return False
    return True
held = {
    "what is hidden is read": lambda: open(secret).read(),
    "others are written to": lambda: open(outside, "w").close(),
    "the network is reached": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "services are reached": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
}
failed = [name for name, what in held.items() if works(what)]
if not works(lambda: open(own, "w").close()):
    failed.append("its own folder is not written to")
if os.spawnv(os.P_WAIT, "/bin/sh", ["sh", "-c", "exit 7"]) != 7:
    failed.append("no program is run")
print(", ".join(failed))
"""


def tell(program: str) -> None:
    """Print what works, as one object of JSON; `program` is this package's."""
    env = _env()
    kinds = {kind: _tried(program, kind, env) for kind in ("bubblewrap", "landlock")}
    told = {**kinds, "env": env, "landlockVersion": landlock.version() if sys.platform == "linux" else 0}
    os.write(1, json.dumps(told).encode() + b"\n")


def _env() -> "str | None":
    """Return the `env` that sets signals to their defaults, where there is one."""
    for path in ("/usr/bin/env", "/bin/env"):
        words = [path, "--default-signal", "--", sys.executable, "-I", "-S", "-c", "pass"]
        try:
            if subprocess.run(words, capture_output=True, timeout=SECONDS, check=False).returncode == 0:  # noqa: S603 -- constants
                return path
        except (OSError, subprocess.TimeoutExpired):
            continue
    return None


def _tried(program: str, kind: str, env: "str | None") -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="nexus-walls-") as folder:
        for name in ("given", "given/own", "given/secret", "tmp"):
            os.mkdir(f"{folder}/{name}", 0o700)
        with open(f"{folder}/given/secret/key", "w", encoding="utf-8") as file:
            file.write("secret")
        own = f"{folder}/given/own"
        python = [realpath(sys.executable), "-I", "-S", "-B", "-c", _TRIES]
        spec = {
            "kind": kind,
            "argv": [*python, f"{folder}/given/secret/key", f"{folder}/given/outside", f"{own}/file"],
            "cwd": own,
            # Landlock cannot leave a folder out of another.
            "read": [f"{folder}/given"] if kind == "bubblewrap" else [],
            "write": [own],
            "tmp": f"{folder}/tmp",  # noqa: S108 -- below one of its own
            "hidden": [f"{folder}/given/secret"],
            "network": False,
            "memoryMib": None,
            "files": 256,
            "env": env,
        }
        with open(f"{folder}/spec.json", "w", encoding="utf-8") as file:
            json.dump(spec, file)
        return _done([sys.executable, "-I", "-S", "-B", program, f"{folder}/spec.json"])


def _done(words: list[str]) -> dict[str, Any]:
    try:
        done = subprocess.run(words, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603 -- this package's
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"works": False, "reason": str(error)}
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        # What bubblewrap says itself comes before what the program says of it.
        return {"works": False, "reason": said[0][:300] if said else f"it ended with {done.returncode}"}
    failed = done.stdout.decode(errors="replace").strip()
    return {"works": not failed, "reason": failed or None}
