"""The fronts that commands start: each works in the surroundings of the command that started it."""

from typing import TYPE_CHECKING

from nexus.call import Call
from nexus.schemas.command import GlobalFlags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nexus.dispatch.runtime import Runtime
    from nexus.schemas.front import McpOptions, ServeOptions, Shell
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

    async def completion(self, shell: "Shell", line: str | None, words: "Sequence[str]") -> "OutputStream":
        """Answer what may come next, as the script of the shell reads it."""
        from nexus.completion.answer import written
        from nexus.completion.complete import complete
        from nexus.completion.live import LiveValues
        from nexus.completion.words import Typed, typed_in
        from nexus.exec.runner import Runner
        from nexus.schemas.stream import TextStream

        typed = typed_in(line) if line is not None else Typed(tuple(words[:-1]), words[-1] if words else "")
        live = LiveValues(Runner(self._call, self._flags, self._runtime))
        return TextStream(written(await complete(self._runtime.index, typed, live), typed, shell))

    def completion_script(self, shell: "Shell") -> "OutputStream":
        """Return the script that makes the shell ask."""
        from nexus.completion.scripts import SCRIPTS
        from nexus.schemas.stream import TextStream

        return TextStream(SCRIPTS[shell].encode())

    async def mcp(self, options: "McpOptions") -> "OutputStream":
        """Serve commands over MCP."""
        from nexus.mcp.serve import serve

        return await serve(self._call, self._flags, self._runtime, options)

    async def serve(self, options: "ServeOptions") -> "OutputStream":
        """Open the local kernel to a network."""
        return await self._runtime.kernel.serve(self._call, options)
