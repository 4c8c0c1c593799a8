"""The kernel: a data folder owned, a store opened, parts started, and one ASGI app in front of them."""

import logging
import os
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from nexus.kernel.accounts.part import Accounts
from nexus.kernel.ai.part import AiPart
from nexus.kernel.api.app import application
from nexus.kernel.api.endpoint import ApiState
from nexus.kernel.api.idempotency import Idempotency
from nexus.kernel.audit.chain import Chain
from nexus.kernel.audit.witness import Witness
from nexus.kernel.audit_part import AuditPart
from nexus.kernel.caller import OwnersFace
from nexus.kernel.data.kept import KeptBytes
from nexus.kernel.data_part import Data
from nexus.kernel.database import open_store
from nexus.kernel.debug import Debug
from nexus.kernel.files.files import Files
from nexus.kernel.holder.holding import Holding
from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.host import KernelHost, together
from nexus.kernel.keys import Keyring, Keys
from nexus.kernel.mark import hold_marked, leave_mark, marked
from nexus.kernel.network.network import Network
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.pipelines.part import Pipelines
from nexus.kernel.processes.part import Processes
from nexus.kernel.projects.chats import Chats
from nexus.kernel.projects.projects import Projects
from nexus.kernel.projects.roadmaps import Roadmaps
from nexus.kernel.projects.watch import RoadmapWatch
from nexus.kernel.secrets.values import Secrets
from nexus.kernel.secrets_part import SecretsPart
from nexus.kernel.sessions.driver import DriverFactory
from nexus.kernel.sessions_part import SessionsPart
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store.failures import storage_error, told_as_storage
from nexus.kernel.store.filesystem import refuse_network
from nexus.kernel.store.ownership import Ownership, acquire
from nexus.kernel.store.store import Store
from nexus.kernel.templates import Templates
from nexus.kernel.terminals.part import Terminals
from nexus.schemas.errors import StorageReadOnly, ValidationError
from nexus.schemas.kernel import LiveCounts
from nexus.schemas.regular import is_utf8
from nexus.sessions.local import SessionHost
from nexus.sessions.types import SessionType

DATABASE_NAME = "nexus.db"
HOLDER_NAME = "holder"
STANDARD_PATH = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"

PARTS: tuple[Callable[[Surroundings], Part], ...] = (
    Projects,
    Roadmaps,
    Chats,
    Templates,
    AiPart,
    RoadmapWatch,
    SecretsPart,
    Files,
    Data,
    Network,
    Terminals,
    Processes,
    Pipelines,
    # Behind all that bring drivers: those are started before sessions are taken up, and closed after they were let go.
    SessionsPart,
)
"""What a kernel is made of, started in this order and closed in the other."""


log = logging.getLogger("nexus.kernel")


class Kernel:
    """A running kernel. `app` is its owner's face; `live` tells what its parts have at work."""

    def __init__(
        self,
        ownership: Ownership,
        surroundings: Surroundings,
        settings: KernelSettings,
        parts: Sequence[Part],
        app: OwnersFace,
    ) -> None:
        self.app = app
        self.data_folder = surroundings.data_folder
        self.projects = surroundings.projects
        self.settings = settings
        self._keys = surroundings.keys
        self._ownership = ownership
        self._store = surroundings.store
        self._parts = parts

    @classmethod
    async def open(
        cls, data_folder: Path, host: KernelHost, settings: KernelSettings | None = None, keyring: Keyring | None = None
    ) -> Self:
        """Own the data folder, which is made with mode 0700 where there is none, and open all that is in it.

        A `keyring` keeps the kernel's own secret, where it can. The state is in a file in the folder, or where the
        `settings` say; sessions, their events and the programs behind them are this kernel's own.
        Raises `FolderOwned` (with the owner's pid and socket), `StorageUnsupported`, `VersionConflict` and the other
        storage errors; then nothing is left open.
        """
        settings = settings or KernelSettings()
        ownership = _own(data_folder, host)
        store: Store | None = None
        started: list[Part] = []
        try:
            store = await open_store(data_folder / DATABASE_NAME, settings.database)
            place = HolderPlace(str(data_folder / HOLDER_NAME))
            holding = Holding(place, sweeps=host.mode != "one-shot", capacity=settings.node.bound)
            keys = Keys(data_folder, settings.secret)
            mark = await marked(store)
            await keys.load(keyring, chooses=mark is None)
            if settings.secret is not None:
                # Another one than the folder's is told of now, and not by whoever signs in first.
                keys.key("tokens")
            witness = Witness(store, Chain(keys, lambda connection: leave_mark(connection, keys)))
            await hold_marked(store, keys, witness.chain, mark, shared=settings.database is not None)
            surroundings = Surroundings(
                *(store, data_folder, host, settings.environment or least_environment(), holding, keys, witness),
                secrets=Secrets(store, keys, data_folder, settings.vault),
                kept=KeptBytes(data_folder, keys, settings.objects),
                limits=settings.limits,
                own_projects=settings.projects,
                node=settings.node,
                steps=settings.steps,
            )
            parts = [Accounts(store, keys, witness), AuditPart(store, witness), *(make(surroundings) for make in PARTS)]
            state = ApiState(store, Idempotency(store), witness)
            parts.append(Debug(surroundings, state.requests, parts))
            for part in parts:
                await part.start()
                started.append(part)
            operations = [operation for part in parts for operation in part.operations()]
            app = application(operations, [route for part in parts for route in part.routes()], state)
        except BaseException:
            await _close(started, store, ownership)
            raise
        return cls(ownership, surroundings, settings, parts, app)

    @property
    def secret(self) -> str | None:
        """What another process of this server's is told, where the data folder does not have the kernel's secret."""
        return self.settings.secret or self._keys.from_keyring

    @property
    def sessions(self) -> SessionHost:
        """The face that the local transport of the Session ABI calls."""
        return next(part.sessions for part in self._parts if isinstance(part, SessionsPart))

    @property
    def owners_sessions(self) -> SessionHost:
        """The same for the owner's commands: what they change is written down."""
        return next(part.owners for part in self._parts if isinstance(part, SessionsPart))

    def bring(self, types: Callable[[str], SessionType | None], drivers: Callable[[str], DriverFactory | None]) -> None:
        """Ask these for the session types and drivers that the parts have not: its host brings those of plugins."""
        sessions = next(part.sessions for part in self._parts if isinstance(part, SessionsPart))
        sessions.types.more, sessions.drivers.more = types, drivers

    @property
    def accounts(self) -> Accounts:
        """The accounts, for the face that opens the kernel to a network."""
        return next(part for part in self._parts if isinstance(part, Accounts))

    @property
    def debug(self) -> Debug:
        """What tells of the kernel, for who serves it by more processes than this."""
        return next(part for part in self._parts if isinstance(part, Debug))

    def live(self) -> LiveCounts:
        """Return what the parts have at work now; a host does not leave for idleness while there is any."""
        return together(part.live() for part in self._parts)

    async def close(self) -> None:
        """Close the parts, the last one first, then the store, then let others own the folder. Once is enough."""
        parts, self._parts = self._parts, ()
        await _close(parts, self._store, self._ownership)


def _own(data_folder: Path, host: KernelHost) -> Ownership:
    if not is_utf8(str(data_folder)):
        raise ValidationError.because(
            "The data folder's path is no UTF-8, which no answer could tell of.",
            hint="Set NEXUS_HOME to a folder with another name.",
        )
    with told_as_storage(data_folder):
        try:
            data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, data_folder) or StorageReadOnly(
                path=str(data_folder), reason=error.strerror
            ) from error
        refuse_network(data_folder)
        return acquire(data_folder, host.socket)


async def _close(parts: Sequence[Part], store: Store | None, ownership: Ownership) -> None:
    try:
        for part in reversed(parts):
            try:
                await part.close()
            except Exception:
                log.exception("%s did not close", type(part).__name__)
        if store is not None:
            await store.close()
    finally:
        ownership.release()


def least_environment() -> dict[str, str]:
    """Return an environment with which programs work, made of the user's account and nothing of this process's."""
    account = pwd.getpwuid(os.getuid())
    return {"PATH": STANDARD_PATH, "HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
