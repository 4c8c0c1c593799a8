"""Kernels on a port, one after another on one folder, each killed by itself as it begins its nth statement of a write.

Run as `python -m tests.kernel.server.killable FOLDER`. Each line of stdin is a number: a kernel is forked that dies at
so many statements (0: never), and its URL is printed; when it is dead, the signal that ended it is.
"""

import asyncio
import os
import signal
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path

from nexus.kernel.accounts import families
from nexus.kernel.store import sqlite
from tests.kernel.server.running import running

connect = sqlite.connect
left = 0


def count(_statement: str) -> None:
    """End this process as kill -9 does when the last statement that it may begin was begun."""
    global left  # noqa: PLW0603 -- the one number of a program
    if left:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)


def traced(path: Path, busy_seconds: float) -> sqlite3.Connection:
    connection = connect(path, busy_seconds)
    # Reads on the event loop have no patience for locks, and that tells them.
    if busy_seconds:
        connection.set_trace_callback(count)
    return connection


async def serve(folder: Path, statements: int) -> None:
    """Serve until the statement that is the last."""
    global left  # noqa: PLW0603 -- see above
    async with running(folder, minute_rate=10_000_000) as server:
        server.kernel.accounts.doors.open = True
        left = statements
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.readline)  # noqa: TID251 -- a program of its own


def main(folder: Path) -> None:
    """Fork a kernel for each line."""
    sqlite.connect = traced  # type: ignore[assignment]
    # An answer that was lost stays lost for as long as a slow machine takes to ask again.
    families.LOST_ANSWER = timedelta(hours=1)
    while line := sys.stdin.readline():  # noqa: TID251 -- see above
        kernel = os.fork()
        if kernel == 0:
            asyncio.run(serve(folder, int(line)))
            os._exit(0)
        status = os.waitpid(kernel, 0)[1]
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
