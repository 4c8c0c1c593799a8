"""A program made of a table of commands: the runtime that it runs on, without plugins and without a kernel."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.client.way import Way
from nexus.dispatch.runtime import Runtime
from nexus.fronts import CommandFronts
from nexus.places import find
from nexus.registry.registry import IndexedHandlers
from nexus.schemas.errors import BackendUnavailable
from nexus.standalone.commands import Commands, DefinitionInvalid

if TYPE_CHECKING:
    from nexus.call import Call
    from nexus.schemas.front import ServeOptions
    from nexus.schemas.session import TransportName
    from nexus.schemas.stream import OutputStream
    from nexus.sessions.transport import Transport

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class _Folders:
    """A program's own places, beside those of nexus."""

    config: Path
    state: Path
    data: Path


class _NoKernel:
    """The kernel of a program that has none."""

    async def way(self) -> Way:
        raise _no_kernel()

    async def session_transport(self, name: "TransportName") -> "Transport":  # noqa: ARG002 -- the interface's
        raise _no_kernel()

    async def socket(self) -> Path | None:
        return None

    async def serve(self, call: "Call", options: "ServeOptions") -> "OutputStream":  # noqa: ARG002 -- the interface's
        raise _no_kernel()


def _no_kernel() -> BackendUnavailable:
    return BackendUnavailable.because("This program has no kernel.", hint="nexus help")


class Program(Runtime):
    """Runs a program's commands as nexus runs its own. Raises `DefinitionInvalid`."""

    def __init__(
        self, commands: Commands, *, name: str, version: str, description: str, environment: Mapping[str, str], cwd: str
    ) -> None:
        if not _NAME.fullmatch(name):
            raise DefinitionInvalid(f"{name!r} cannot be a program's name")
        places = find(environment.get, cwd)
        folders = _Folders(*(Path(base) / "programs" / name for base in (places.config, places.state, places.data)))
        super().__init__(_NoKernel(), folders, CommandFronts, commands.index(name, version, description))
        self.program = name
        self.handlers = IndexedHandlers(self.index, lambda spec: commands.handler(spec, name, version))

    async def at(self, cwd: Path) -> Runtime:  # noqa: ARG002 -- wherever its caller is
        """Return itself: a program has the commands that its table has."""
        return self
