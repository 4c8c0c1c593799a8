"""The coordinator of this kernel's runs: begins them, takes up those whose kernel is gone, tidies up behind them."""

import asyncio
import logging
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from nexus.kernel.part import Surroundings
from nexus.kernel.pipelines.crowding import Crowding
from nexus.kernel.pipelines.driver import RENEW_SECONDS, RunDriver
from nexus.kernel.pipelines.folders import RunFolders
from nexus.kernel.pipelines.ledger import LEASE_SECONDS, Ledger
from nexus.kernel.pipelines.means import Inputs, Means, Outputs, Sandboxing, Slots
from nexus.kernel.projects.content import ContentFolders
from nexus.kernel.sessions.driver import Driver
from nexus.kernel.sessions.output import SessionOutput
from nexus.kernel.sessions.record import new_session_id
from nexus.kernel.store.failures import told_as_storage
from nexus.kernel.store.lookup import find
from nexus.kernel.store.schema import projects
from nexus.schemas.errors import NexusError, PermissionDenied
from nexus.schemas.session import NewSession, SessionContext

ID_NAME = "kernel-id"
LOOK_SECONDS = 30.0
"""So often a kernel that stays looks for runs that nobody coordinates."""
TIDY_SECONDS = 3600.0
FIRST_SECONDS, ALONE_SECONDS = 3.0, 10.0
"""So long a kernel that ends with its command waits for a run's first program, and for the end of a cancelled one: it
may be long before somebody does what is left."""
MOST_ID_BYTES = 100

log = logging.getLogger("nexus.kernel.pipelines")


class Coordination:
    """The runs of one kernel. `lease_seconds`, `renew_seconds` and `look_seconds` are for tests."""

    def __init__(
        self,
        surroundings: Surroundings,
        outputs: Outputs,
        inputs: Inputs,
        sandbox: Sandboxing | None = None,
        *,
        lease_seconds: float = LEASE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.at_work: WeakValueDictionary[str, RunDriver] = WeakValueDictionary()
        self._surroundings = surroundings
        self._outputs = outputs
        self._inputs = inputs
        self._sandbox = sandbox
        self._lease_seconds = lease_seconds
        self._renew_seconds = renew_seconds
        self._look_seconds = look_seconds
        self._content = ContentFolders(surroundings.projects, surroundings.environment)
        self._staying: asyncio.Task[None] | None = None
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tried: set[str] = set()
        """Runs whose session could not be opened under the id that they have."""

    # -- what the part asks for

    @cached_property
    def kernel_id(self) -> str:
        """What this data folder's kernel is called in the rows of runs. Raises storage errors."""
        return _kernel_id(self._surroundings.data_folder / "pipelines" / ID_NAME)

    def driver(self, output: SessionOutput) -> Driver:
        """Make the driver of a run's session."""
        return RunDriver(output, self._means, self.at_work, self._renew_seconds)

    async def begin(self, run_id: str, session_id: str, project_id: str | None) -> None:
        """Open the session of a queued run. What goes wrong then is the run's own failure, and not raised."""
        try:
            async with self._turn(run_id):
                # Who looks for runs that nobody began may have found it since it was written down.
                if run_id not in self._tried and await self._ledger.is_queued(run_id, session_id):
                    await self._open(run_id, session_id, project_id)
            if self._alone and (driver := self.at_work.get(run_id)) is not None:
                await driver.begun(FIRST_SECONDS)
        except Exception as error:
            log.exception("run %s could not be begun", run_id)
            reason = str(error) if isinstance(error, NexusError) else "its session could not be opened"
            try:
                await self._ledger.fail(run_id, reason)
            except NexusError:
                # It stays queued, and is looked at again.
                log.exception("run %s could not be marked as failed", run_id)

    async def stir(self, run_id: str) -> None:
        """Learn that the run's row says something new. What goes wrong is found at the next look."""

        async def look() -> None:
            await self._surroundings.drivers.ready()
            await self._adopt(run_id)
            if (driver := self.at_work.get(run_id)) is not None:
                driver.look()
                if self._alone:
                    await driver.ended(ALONE_SECONDS)

        await _logged(look)

    async def forget(self, run_id: str) -> None:
        """Learn that the run was deleted: its folder goes."""
        if (driver := self.at_work.get(run_id)) is not None:
            # It finds that it has no row any more, and tells its readers.
            driver.look()
            return
        await asyncio.to_thread(self._means.folders.remove, run_id)

    async def start(self) -> None:
        """Begin to look after runs, where the kernel stays."""
        if not self._alone:
            self._staying = asyncio.create_task(self._stay(), name="runs that nobody coordinates")

    async def close(self) -> None:
        """End it. The drivers were detached with their sessions."""
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.wait((self._staying,))

    # -- within

    @property
    def _alone(self) -> bool:
        """Whether this kernel ends with its command."""
        return self._surroundings.host.mode == "one-shot"

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger(self._surroundings.store, self.kernel_id, self._lease_seconds)

    @cached_property
    def _means(self) -> Means:
        around = self._surroundings
        sandbox = self._sandbox
        if sandbox is None:
            from nexus.kernel.pipelines.walls import Sandbox

            sandbox = Sandbox(around.steps, around.data_folder)
        folders = RunFolders(around.data_folder)
        return Means(
            holding=around.holding,
            ledger=self._ledger,
            folders=folders,
            crowding=Crowding(folders),
            sandbox=sandbox,
            secrets=around.secrets,
            inputs=self._inputs,
            outputs=self._outputs,
            slots=Slots(around.steps.parallel or os.cpu_count() or 1),
            project_folder=self._project_folder,
        )

    async def _project_folder(self, project_id: str) -> Path:
        row = await self._surroundings.store.read(lambda connection: find(connection, projects, project_id))
        folder = self._content.of(row)
        hidden = (*self._surroundings.steps.hidden, self._surroundings.data_folder)
        await asyncio.to_thread(_refuse_within, folder, hidden, self._content.root)
        return folder

    async def _open(self, run_id: str, session_id: str, project_id: str | None) -> None:
        context = SessionContext(run_id=run_id, project_id=project_id)
        await self._surroundings.drivers.open(NewSession(type="pipeline-run", context=context), session_id)

    async def _stay(self) -> None:
        tidied = -TIDY_SECONDS
        clock = asyncio.get_running_loop().time
        while True:
            await _logged(self._look)
            if clock() - tidied >= TIDY_SECONDS:
                tidied = clock()
                await _logged(self._tidy)
            await asyncio.sleep(self._look_seconds)

    async def _look(self) -> None:
        """Adopt the runs that nobody coordinates."""
        await self._surroundings.drivers.ready()
        # Those at work may be as many as are found at once, and stand before all others.
        for row in await self._ledger.found(besides=list(self.at_work)):
            await self._adopt(row.id)

    async def _adopt(self, run_id: str) -> None:
        """Take up a run, unless somebody did meanwhile, or it is over."""
        async with self._turn(run_id):
            for row in await self._ledger.found(run_id) if run_id not in self.at_work else ():
                await self._take_up(row)

    def _turn(self, run_id: str) -> asyncio.Lock:
        """Return what is held while the run's session is opened: two would make one run of it fail."""
        return self._turns.setdefault(run_id, asyncio.Lock())

    async def _take_up(self, row: Any) -> None:
        own = row.status == "queued" and row.kernel == self.kernel_id and row.session_id is not None
        session_id = row.session_id if own and row.id not in self._tried else new_session_id()
        self._tried.add(row.id)
        try:
            await self._open(row.id, session_id, row.project_id)
        except Exception:
            log.exception("run %s could not be taken over", row.id)
        else:
            self._tried.discard(row.id)

    async def _tidy(self) -> None:
        """Remove the folders of runs that are no more, or that succeeded."""
        folders = self._means.folders
        names = await asyncio.to_thread(folders.names)
        kept = await self._ledger.keeping(names) if names else set()
        await asyncio.to_thread(folders.sweep)
        for name in names:
            if name not in kept and name not in self.at_work:
                await asyncio.to_thread(folders.remove, name)


def _refuse_within(folder: Path, hidden: Sequence[Path], projects: Path) -> None:
    """Return unless a project's folder lies, by now, in one that no step sees; its own place there is none of that.

    The walls hide what is around: of a part of it they do not know that it was not meant. Raises `PermissionDenied`.
    """
    real = folder.resolve()
    if real.parent == projects.resolve():
        return
    if any(real.is_relative_to(each.resolve()) for each in hidden):
        raise PermissionDenied.because(
            f"The project's folder {folder} is one of Nexus' own, which no step sees.",
            hint="nexus help agent project update",
        )


async def _logged(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:
        # Whatever it is, the next look may go well.
        log.exception("runs could not be looked after")


def _kernel_id(path: Path) -> str:
    """Return the id that is kept in a file, made where there is none: whole, or not at all."""
    with told_as_storage(path):
        with suppress(FileNotFoundError):
            return path.read_text()[:MOST_ID_BYTES]
        path.parent.mkdir(mode=0o700, exist_ok=True)
        made = f"krn_{secrets.token_hex(16)}"
        draft = path.with_name(f".{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "w") as file:
                file.write(made)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return made
