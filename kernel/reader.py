"""The operations that the database alone answers, in a process beside the kernel's own: a worker of a server.

Such a process owns nothing. It begins no work of its own and runs no schedule; it lives no longer than the kernel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from starlette.types import Scope

from nexus.kernel.accounts.access import Access
from nexus.kernel.api.app import endpoints_of, nothing_here
from nexus.kernel.api.endpoint import ApiState
from nexus.kernel.api.idempotency import Idempotency
from nexus.kernel.api.table import Table
from nexus.kernel.audit.chain import Chain
from nexus.kernel.audit.witness import Witness
from nexus.kernel.data.kept import KeptBytes
from nexus.kernel.database import open_store
from nexus.kernel.holder.holding import Holding
from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import DATABASE_NAME, HOLDER_NAME, least_environment
from nexus.kernel.keys import Keys
from nexus.kernel.mark import leave_mark
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.pipelines.part import Pipelines
from nexus.kernel.projects.chats import Chats
from nexus.kernel.projects.projects import Projects
from nexus.kernel.projects.roadmaps import Roadmaps
from nexus.kernel.secrets.values import Secrets
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store.store import Store
from nexus.kernel.templates import Templates

PARTS: tuple[Callable[[Surroundings], Part], ...] = (Projects, Roadmaps, Chats, Templates, Pipelines)
"""Parts whose reads ask the database and nothing else."""


@dataclass(frozen=True, slots=True)
class Reader:
    """`app` answers what `answers` says yes to, for the callers that a face tells it; `access` tells such callers."""

    app: Table
    access: Access
    store: Store

    @classmethod
    async def open(cls, data_folder: Path, settings: KernelSettings, projects: Path) -> Self:
        """Open the database of the kernel that owns the folder. Raises the storage errors."""
        store = await open_store(data_folder / DATABASE_NAME, settings.database)
        keys = Keys(data_folder, settings.secret)
        witness = Witness(store, Chain(keys, lambda connection: leave_mark(connection, keys)))
        surroundings = Surroundings(
            store=store,
            data_folder=data_folder,
            host=OneShotHost(),
            environment=least_environment(),
            holding=Holding(HolderPlace(str(data_folder / HOLDER_NAME)), sweeps=False),
            keys=keys,
            witness=witness,
            secrets=Secrets(store, keys, data_folder),
            kept=KeptBytes(data_folder, keys, None),
            own_projects=projects,
        )
        operations = [each for make in PARTS for each in make(surroundings).operations() if each.method == "GET"]
        endpoints = endpoints_of(operations, ApiState(store, Idempotency(store), witness))
        return cls(Table(endpoints, nothing_here), Access(store, keys), store)

    def answers(self, scope: Scope) -> bool:
        """Say whether a request is one for this process."""
        return (
            scope["type"] == "http"
            and scope["method"] in ("GET", "HEAD")
            and not scope.get("root_path")
            and self.app.find(scope["path"]) is not None
        )

    async def close(self) -> None:
        """Close the database."""
        await self.store.close()
