"""The parts that a kernel is made of: each brings operations and routes, and is started and closed with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.routing import BaseRoute

from nexus.kernel.api.operation import Operation
from nexus.kernel.audit.witness import Witness
from nexus.kernel.bus import Bus
from nexus.kernel.data.kept import KeptBytes
from nexus.kernel.holder.holding import Holding
from nexus.kernel.host import Environment, KernelHost
from nexus.kernel.keys import Keys
from nexus.kernel.secrets.values import Secrets
from nexus.kernel.sessions.driver import Drivers
from nexus.kernel.settings import Limits, Node, StepSettings
from nexus.kernel.store.store import Store
from nexus.schemas.kernel import LiveCounts


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every part is given: the store, the folder it may write to, the host, and programs' environment.

    `holding` leads to the programs that outlive this process; `limits` say what of events is kept, and `kept` is where
    bytes are. `keys` are the kernel's own; `witness` writes down what was done. A part behind sessions of a type adds
    its driver to `drivers` when it is made. What others should know is told on the `bus`.
    """

    store: Store
    data_folder: Path
    host: KernelHost
    environment: Environment
    holding: Holding
    keys: Keys
    witness: Witness
    secrets: Secrets
    kept: KeptBytes
    limits: Limits = field(default_factory=Limits)
    own_projects: Path | None = None
    node: Node = field(default_factory=Node)
    steps: StepSettings = field(default_factory=StepSettings)
    drivers: Drivers = field(default_factory=Drivers)
    bus: Bus = field(default_factory=Bus)

    @property
    def projects(self) -> Path:
        """The folder for those of projects that have none of their own."""
        return self.own_projects or self.data_folder / "projects"


class Part:
    """One part of the kernel. A subclass overrides what it has; `operations` are told in OpenAPI, `routes` are not."""

    def operations(self) -> Sequence[Operation]:
        """Return the operations of the API that this part answers."""
        return ()

    def routes(self) -> Sequence[BaseRoute]:
        """Return routes that are no operations: WebSockets and streams."""
        return ()

    def live(self) -> LiveCounts:
        """Return what this part has at work now; the host does not leave for idleness while there is any."""
        return LiveCounts()

    async def start(self) -> None:
        """Begin; called once, before the first request."""

    async def close(self) -> None:
        """End what was begun; called once, the last part first, and bounded in time by the part itself."""
