"""A program that starts another one as nobody's child and tells, after a grace, how that went.

Run as a file by a bare interpreter (`python -I -S detached.py`), with a JSON object on standard input: `argv` (the
program's path first), `cwd`, `environment`, `umask`, `limits` (number, soft, hard) and `graceSeconds`. Prints one JSON
object: `pid`, and `exitCode` when the program ended within the grace, null when it runs on; or `error`. The program has
a session of its own, default signals, and no end of ours: its standard input, output and error are /dev/null.
"""

import json
import os
import resource
import signal
import subprocess
from typing import Any


def _at_most(wanted: int, most: int) -> int:
    if most == resource.RLIM_INFINITY:
        return wanted
    return most if wanted == resource.RLIM_INFINITY else min(wanted, most)


def _with_limits(limits: list[tuple[int, int, int]]) -> None:
    for which, soft, hard in limits:
        allowed = _at_most(hard, resource.getrlimit(which)[1])
        resource.setrlimit(which, (_at_most(soft, allowed), allowed))


def _default_signals() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def start(request: dict[str, Any]) -> dict[str, Any]:
    """Start what the request says and return what is to be told of it."""
    _default_signals()
    try:
        program = subprocess.Popen(  # noqa: S603 -- the user's own editor, words and not a shell line
            request["argv"],
            cwd=request["cwd"],
            env=request["environment"],
            umask=request["umask"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: _with_limits(request["limits"]),  # noqa: PLW1509 -- this process has one thread
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return {"error": str(error)}
    try:
        return {"pid": program.pid, "exitCode": program.wait(timeout=request["graceSeconds"])}
    except subprocess.TimeoutExpired:
        return {"pid": program.pid, "exitCode": None}


if __name__ == "__main__":
    with open(0, "rb", closefd=False) as asked:
        answer = start(json.load(asked))
    os.write(1, json.dumps(answer).encode())
