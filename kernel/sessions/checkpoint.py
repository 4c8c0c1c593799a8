"""Moves what was committed from the write-ahead log into the database file, beside the commits and not between them.

SQLite would do it inside a commit, and wait for the disk there: 50 ms that a key pressed meanwhile would wait too.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from nexus.kernel.sessions.database import LogDatabase

EVERY_BYTES = 32 * 1024 * 1024
MOST_BYTES = 256 * 1024 * 1024
"""Behind this the write-ahead log is begun anew; who writes so much during one round waits for its end."""
IDLE_SECONDS = 5.0

logger = logging.getLogger("nexus.kernel.sessions")


class Checkpointer:
    """A thread of its own. `calm` holds large commits back, and so does `hold` until it is told otherwise.

    `commits` is held by whoever commits, while he does.
    """

    def __init__(
        self,
        database: LogDatabase,
        calm: Callable[[], AbstractContextManager[None]],
        hold: Callable[[bool], None],
        commits: AbstractContextManager[object],
    ) -> None:
        self._database = database
        self._calm = calm
        self._hold = hold
        self._commits = commits
        self._condition = threading.Condition(threading.Lock())
        self._written = 0
        self._moving = 0
        """How much had been written when the round began that is under way."""
        self._holding = False
        self._stopping = False
        self._idle = False
        self._thread = threading.Thread(target=self._run, name="nexus-log-checkpoint", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is left is moved when the file is closed."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join()

    def written(self, size: int) -> None:
        """Count what was committed. Where the disk does not keep up with a flood, the flood waits for it."""
        with self._condition:
            self._written += size
            if self._written >= EVERY_BYTES:
                self._condition.notify()
            if self._written < MOST_BYTES or self._holding:
                return
            self._holding = True
            self._hold(True)

    def _run(self) -> None:
        while self._wait():
            try:
                # When nobody is at work, the disk gets back what a flood took.
                if self._database.checkpoint(truncate=self._idle) > MOST_BYTES:
                    self._begin_anew()
            except Exception:
                # Nothing is lost by it: the write-ahead log holds it all, and a round in a while tries again.
                logger.exception("the event log's write-ahead log is not moved into its database")
                self._let_go()
                with self._condition:
                    self._written += self._moving
                    self._condition.wait_for(lambda: self._stopping, IDLE_SECONDS)
            else:
                self._let_go()

    def _let_go(self) -> None:
        """A round is over, well or not: who waited for it goes on."""
        with self._condition:
            if self._holding:
                self._holding = False
                self._hold(False)

    def _begin_anew(self) -> None:
        """Move all there is, so that the next commit begins the write-ahead log anew.

        The floods wait while the disk takes what they printed, everyone only while it takes the rest: next to nothing.
        """
        with self._calm():
            self._database.checkpoint()
            with self._commits:
                self._database.checkpoint()

    def _wait(self) -> bool:
        """Wait until there is enough to move, or something and nothing else to do; False is the end."""
        with self._condition:
            self._idle = False
            while not (self._stopping or self._idle or self._written >= EVERY_BYTES):
                before = self._written
                self._condition.wait(IDLE_SECONDS)
                self._idle = 0 < self._written == before
            self._moving, self._written = self._written, 0
            return not self._stopping
