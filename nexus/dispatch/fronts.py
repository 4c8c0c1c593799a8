"""The fronts that commands start: each works in the surroundings of the command that started it."""

from typing import TYPE_CHECKING

from nexus.call import Call
from nexus.schemas.command import GlobalFlags

if TYPE_CHECKING:
    from nexus.dispatch.runtime import Runtime
    from nexus.schemas.stream import OutputStream


class CommandFronts:
    """What one command may start. They dispatch commands themselves, so they are imported when they are started."""

    def __init__(self, call: Call, flags: GlobalFlags, runtime: "Runtime") -> None:
        self._call = call
        self._flags = flags
        self._runtime = runtime

    def batch(self, *, parallel: int, stop_on_error: bool) -> "OutputStream":
        """Run the records on the caller's stdin, `parallel` at a time."""
        from nexus.exec.batch import Batch

        return Batch(self._call, self._flags, self._runtime, parallel=parallel, stop_on_error=stop_on_error)
