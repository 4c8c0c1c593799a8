"""The signals that end a command, as the errors that they become."""

import signal

from nexus.schemas.errors import HungUp, Interrupted, Terminated

ENDED_BY: dict[int, type[Interrupted]] = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated}
if hasattr(signal, "SIGHUP"):
    ENDED_BY[signal.SIGHUP] = HungUp
