"""The ways in that are commands themselves: what such a command is given, and what it hands back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from nexus.schemas.stream import OutputStream

Shell = Literal["bash", "zsh", "fish"]


@dataclass(frozen=True, slots=True)
class Forward:
    """Another command line to run in the place of the one that said so, under the same global flags.

    `line` has the words of a command line with or without `nexus` before them, quoted as for a shell.
    """

    line: str


@dataclass(frozen=True, slots=True)
class McpOptions:
    """How commands are served over MCP. Without `namespaces` all are offered."""

    http: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    read_only: bool = False
    namespaces: tuple[str, ...] = ()


class Fronts(Protocol):
    """Fronts on the dispatcher that a command may start, in that command's own surroundings."""

    def batch(self, *, parallel: int, stop_on_error: bool) -> OutputStream:
        """Run the records on the command's stdin; the stream has an envelope a line, in their order."""
        ...

    async def completion(self, shell: Shell, line: str | None, words: Sequence[str]) -> OutputStream:
        """Answer what may come next on a command line, as the shell's script reads it.

        `line` is the text up to the cursor, quoted as it was typed; without it `words` are those after the command's
        name, read by the shell, the cursor's own last.
        """
        ...

    def completion_script(self, shell: Shell) -> OutputStream:
        """Return the script that makes the shell ask."""
        ...

    async def mcp(self, options: McpOptions) -> OutputStream:
        """Serve commands over MCP, on the command's stdin and stdout or on a port.

        Raises `ExtraMissing`, `NotFound` for a namespace that there is not.
        """
        ...
