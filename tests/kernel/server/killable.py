"""Kernels on a port, one after another on one folder, each killed by itself as it begins its nth statement.

Run as `python -m tests.kernel.server.killable FOLDER [URL OF A DATABASE]`. Each line of stdin is a number: a kernel is
forked that dies at so many statements and commits (0: never), and its URL is printed; when it is dead, the signal that
ended it is.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, event

from nexus.kernel.accounts import families
from nexus.kernel.store.store import DatabaseAddress
from tests.kernel.server.running import running

left = 0


@event.listens_for(Engine, "before_cursor_execute")
@event.listens_for(Engine, "commit")
def count(*_about: object) -> None:
    """End this process as kill -9 does when the last statement that it may begin was begun."""
    global left  # noqa: PLW0603 -- the one number of a program
    if left:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)


async def serve(folder: Path, database: DatabaseAddress | None, statements: int) -> None:
    """Serve until the statement that is the last."""
    global left  # noqa: PLW0603 -- see above
    async with running(folder, database, minute_rate=10_000_000) as server:
        server.kernel.accounts.doors.open = True
        left = statements
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.readline)  # noqa: TID251 -- a program of its own


def main(folder: Path, *urls: str) -> None:
    """Fork a kernel for each line."""
    database = DatabaseAddress(urls[0]) if urls else None
    # An answer that was lost stays lost for as long as a slow machine takes to ask again.
    families.LOST_ANSWER = timedelta(hours=1)
    while line := sys.stdin.readline():  # noqa: TID251 -- see above
        kernel = os.fork()
        if kernel == 0:
            asyncio.run(serve(folder, database, int(line)))
            os._exit(0)
        status = os.waitpid(kernel, 0)[1]
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
