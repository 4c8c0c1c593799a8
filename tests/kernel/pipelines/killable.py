"""Kernels that coordinate runs, one after another on one folder, each killed in the middle of it.

Run as `python -m tests.kernel.pipelines.killable FOLDER`. Each line of stdin is a number, and a kernel is forked that
kills itself as kill -9 does: at so many statements and commits, or after so many milliseconds where it is negative. It
ends by itself when no run is left to be coordinated. The signal that ended it, or 0, is printed.
"""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from sqlalchemy import Engine, event, select

from nexus.kernel.pipelines.ledger import UNDER_WAY
from nexus.kernel.store.schema import runs
from tests.kernel.pipelines.runs import House

left = 0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@event.listens_for(Engine, "before_cursor_execute")
@event.listens_for(Engine, "commit")
def count(*_about: object) -> None:
    """End this process when the last statement that it may begin was begun."""
    global left  # noqa: PLW0603 -- the one number of a program
    if left:
        left -= 1
        if not left:
            die()


async def coordinate(folder: Path, number: int) -> None:
    """Coordinate until it is time to die, or nothing is left."""
    global left  # noqa: PLW0603 -- see above
    left = max(number, 0)
    house = await House(folder, mode="server", look=0.2, walled=True).open()
    if number < 0:
        timer = threading.Timer(-number / 1000, die)
        timer.daemon = True
        timer.start()
    wanted = select(runs.c.id).where(runs.c.status.in_(UNDER_WAY))
    while True:
        if not await house.kernel._store.read(lambda connection: connection.execute(wanted).all()):
            break
        await asyncio.sleep(0.05)
    left = 0
    await house.close()


def main(folder: Path) -> None:
    """Fork a kernel for each line."""
    while line := sys.stdin.readline():  # noqa: TID251 -- a program of its own
        kernel = os.fork()
        if kernel == 0:
            asyncio.run(coordinate(folder, int(line)))
            os._exit(0)
        status = os.waitpid(kernel, 0)[1]
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
