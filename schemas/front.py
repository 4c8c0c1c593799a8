"""The ways in that are commands themselves: what such a command is given, and what it hands back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How the kernel is opened to a network. Left out, a bound is the server's own default.

    `workers` processes answer, the kernel's own among them. With a `database_url` the state is on PostgreSQL; what that
    leaves out is in `database_environment`, PG… variables. `vault_environment` has what the kernel signs in to its
    Vault with.
    """

    host: str = "127.0.0.1"
    port: int = 3001
    workers: int = 1
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    requests_per_minute: int = 6000
    registration_open: bool = False
    open_metrics: bool = False
    secret: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    database_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    vault_environment: Mapping[str, str] = field(default_factory=dict, repr=False)


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

    async def serve(self, options: ServeOptions) -> OutputStream:
        """Open the local kernel to a network until the command is ended.

        Raises `ResourceUnavailable`, `ConfigInvalid` for the files of TLS, `FolderOwned` when the kernel is another
        process's, and what opening the kernel raises.
        """
        ...
