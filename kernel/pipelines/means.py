"""What a kernel has to run the steps of all its runs with."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Connection

from nexus.kernel.holder.holding import Holding
from nexus.kernel.pipelines.crowding import Crowding
from nexus.kernel.pipelines.folders import RunFolders
from nexus.kernel.pipelines.ledger import Hold, Ledger
from nexus.kernel.secrets.masking import Masker
from nexus.kernel.secrets.values import Secrets
from nexus.kernel.settings import SandboxKind
from nexus.schemas.pipeline import ParameterValue, PipelineDocument
from nexus.schemas.run import RunDataset

if TYPE_CHECKING:
    from nexus.kernel.pipelines.walls import Walls

Result = TypeVar("Result")


class Inputs(Protocol):
    """Lays out data sets; see `nexus.kernel.pipelines.inputs`."""

    async def lay_out(self, datasets: Mapping[str, RunDataset], folder: Path) -> dict[str, Path]: ...


class Outputs(Protocol):
    """Keeps artifacts; see `nexus.kernel.pipelines.outputs`."""

    async def stage(self, work: Path, wanted: Mapping[str, str], run_id: str) -> list[Any]: ...

    def keep(self, connection: Connection, staged: Sequence[Any]) -> list[str]: ...

    async def drop(self, staged: Sequence[Any]) -> None: ...

    async def settle(self) -> None: ...


class Sandboxing(Protocol):
    """Makes the walls around steps; see `nexus.kernel.pipelines.walls`."""

    @property
    def path(self) -> str: ...

    async def kind(self) -> SandboxKind: ...

    def command(self, walls: "Walls", kind: SandboxKind, file: Path) -> tuple[str, ...]: ...


class Slots:
    """Room for so many steps at once, given to who waits in their order."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def full(self) -> bool:
        """Whether the next one has to wait."""
        return self._free <= 0

    @asynccontextmanager
    async def one(self, unless: asyncio.Event | None = None) -> AsyncIterator[bool]:
        """Hold room for one; False, and no room is held, when `unless` was set before there was any.

        Without `unless` it is for what runs already, and waits for nobody.
        """
        if self._free > 0 or unless is None:
            self._free -= 1
        elif not await self._turn(unless):
            yield False
            return
        try:
            yield True
        finally:
            self._let_go()

    async def _turn(self, unless: asyncio.Event) -> bool:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        set_first = asyncio.create_task(unless.wait())
        try:
            await asyncio.wait((turn, set_first), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if turn.done():
                self._let_go()
            raise
        finally:
            set_first.cancel()
            if not turn.done():
                turn.cancel()
        return not turn.cancelled()

    def _let_go(self) -> None:
        self._free += 1
        while self._waiting and self._free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)


@dataclass(frozen=True, slots=True)
class Means:
    """`project_folder` returns the folder of a project, and raises `NotFound`."""

    holding: Holding
    ledger: Ledger
    folders: RunFolders
    crowding: Crowding
    sandbox: Sandboxing
    secrets: Secrets
    inputs: Inputs
    outputs: Outputs
    slots: Slots
    project_folder: Callable[[str], Awaitable[Path]]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run as it was started. `laying` is held while its data sets are laid out.

    `mask` masks what any of its steps was given: one may print what another one left.
    """

    hold: Hold
    document: PipelineDocument
    parameters: Mapping[str, ParameterValue]
    datasets: Mapping[str, RunDataset]
    project_id: str | None
    laying: asyncio.Lock = field(default_factory=asyncio.Lock)
    mask: Masker = field(default_factory=lambda: Masker(()))

    @property
    def id(self) -> str:
        return self.hold.run_id
