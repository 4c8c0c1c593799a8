"""The local profile's kernel: in this process if the data folder is ours, else behind its owner's socket."""

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.client.way import AppWay, Way
from nexus.resident.way import LocalWay
from nexus.schemas.errors import BackendUnavailable, Conflict, FolderOwned

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from nexus.call import Call
    from nexus.kernel.host import KernelHost
    from nexus.kernel.kernel import Kernel
    from nexus.kernel.keys import Keyring
    from nexus.kernel.settings import KernelSettings, ObjectStore, StepSettings, VaultAddress
    from nexus.schemas.front import ServeOptions
    from nexus.schemas.kernel import LiveCounts
    from nexus.schemas.session import TransportName
    from nexus.schemas.stream import OutputStream
    from nexus.sessions.local import SessionHost
    from nexus.sessions.transport import Transport

CONFINEMENT = Path(__file__).parent.parent / "confinement" / "__main__.py"
"""The program that makes the sandbox of a step."""

OWNER_SECONDS = 30.0
"""How long an owner that cannot be spoken to is waited for: a command without a resident, about to end."""


class LocalKernel:
    """One a process. Nothing of the kernel is imported, and nothing opened, before the first call.

    `host` is asked for the kernel's host each time that the data folder is about to be owned, and `setting` for how
    much the kernel keeps. `keyring` returns the one that may keep the kernel's own secret. `hidden` are folders that no
    step of a pipeline sees.
    """

    def __init__(
        self,
        data_folder: Path,
        host: "Callable[[], Awaitable[KernelHost]]",
        setting: "Callable[[str], Any]",
        keyring: "Callable[[], Keyring]",
        hidden: tuple[Path, ...],
    ) -> None:
        self._data_folder = data_folder
        self._host = host
        self._setting = setting
        self._keyring = keyring
        self._hidden = hidden
        self._opening = asyncio.Lock()
        self._kernel: Kernel | None = None
        self._owner: Path | None = None
        self._socket: Path | None = None
        self._way: Way | None = None
        self._to_kernel = LocalWay(self)
        self._settings: KernelSettings | None = None
        self.serves = False
        self.brings: Callable[[Kernel], None] | None = None
        """Is given the kernel when this process has opened it, for what the process brings to it."""

    async def way(self) -> Way:
        """Return how to reach the kernel. Raises storage errors, `VersionConflict`, `BackendUnavailable`."""
        if self._way is None:
            await self.reached()
        return self._to_kernel

    async def session_transport(self, name: "TransportName") -> "Transport":
        """Return the Session ABI's way to the kernel, wherever that is when it is used."""
        from nexus.resident.sessions import LocalSessionWay

        return LocalSessionWay(self, name)

    async def sessions(self) -> "SessionHost | Path":
        """Return the kernel's face if it is ours, else its owner's socket. Raises as `way` does."""
        await self.reached()
        if self._kernel is not None:
            return self._kernel.owners_sessions
        if self._owner is None:
            raise BackendUnavailable.because("The kernel's owner has gone.")
        return self._owner

    async def socket(self) -> "Path | None":
        """Return where the kernel listens, None where it does not. Raises as `way` does."""
        await self.reached()
        return self._socket if self._kernel is not None else self._owner

    async def app(self) -> "ASGIApp":
        """Return the kernel of this process, for those who speak HTTP to our socket. Raises as `way` does."""
        await self.reached()
        if self._kernel is None:
            raise BackendUnavailable.because("Another process owns the data folder.")
        return self._kernel.app

    async def serve(self, call: "Call", options: "ServeOptions") -> "OutputStream":
        """Open the kernel of this process to a network. Raises as `Fronts.serve` says."""
        from nexus.resident.serving import Serving, settings_of

        wanted = settings_of(options)
        if self._kernel is None:
            await self._open_to_serve(wanted)
        elif wanted != self._settings and wanted.decides:
            raise Conflict.because(
                "The kernel is open already, and not with this secret, database or sign-in of a Vault.",
                hint="NEXUS_RESIDENT=0 nexus serve",
            )
        if self._kernel is None:
            raise FolderOwned(
                path=str(self._data_folder), pid=None, socket=str(self._owner), hint="nexus debug kernel stop"
            )
        serving = Serving(call, self._kernel, options, self._socket.parent if self._socket else None)
        try:
            await serving.start()
        except BaseException:
            await serving.aclose()
            raise
        return serving

    async def _open_to_serve(self, wanted: "KernelSettings") -> None:
        self.serves, self._settings = True, wanted
        try:
            await self.reached()
        except BaseException:
            # The next command's kernel is not opened as a server that could not be wanted it.
            self.serves, self._settings = False, None
            raise

    async def reached(self) -> Way:
        """Return the way that is open now, opened if need be. Raises as `way` does."""
        if self._way is None:
            async with self._opening:
                if self._way is None:
                    self._way = await self._open()
        return self._way

    async def forget(self, lost: Way) -> bool:
        """Drop the way to an owner who has gone; say whether it was one."""
        if self._kernel is not None:
            return False
        if self._way is lost:
            self._way = None
            await lost.aclose()
        return True

    def live(self) -> "LiveCounts | None":
        """Return what the kernel has at work; None while it is not open."""
        return self._kernel.live() if self._kernel is not None else None

    async def close(self) -> None:
        """Close what was opened, and let others own the data folder."""
        if self._way is not None:
            await self._way.aclose()
        if self._kernel is not None:
            await self._kernel.close()

    async def _open(self) -> Way:
        # In a thread: a resident goes on answering while a hundred modules are read.
        await asyncio.to_thread(_import)
        deadline = asyncio.get_running_loop().time() + OWNER_SECONDS
        while True:
            try:
                self._kernel = await self._own()
            except FolderOwned as owned:
                socket = owned.data.get("socket")
                if socket and await _listens(socket):
                    self._owner = Path(socket)
                    from nexus.client.http import to_socket

                    return to_socket(socket)
                if asyncio.get_running_loop().time() > deadline:
                    raise BackendUnavailable.because(
                        f"The process {owned.data.get('pid')} owns {self._data_folder} and cannot be spoken to.",
                        pid=owned.data.get("pid"),
                    ) from owned
                await asyncio.sleep(0.02)
            else:
                if self.brings is not None:
                    self.brings(self._kernel)
                return AppWay(self._kernel.app)

    async def _own(self) -> "Kernel":
        from nexus.kernel.kernel import Kernel

        host = await self._host()
        self._socket = host.socket
        return await Kernel.open(self._data_folder, host, self._with_surroundings(), self._keyring())

    def _with_surroundings(self) -> "KernelSettings":
        from nexus.kernel.settings import KernelSettings, Limits, Node

        limits = Limits(
            total_bytes=self._setting("session.keep_bytes"),
            session_bytes=self._setting("session.keep_session_bytes"),
            age_seconds=self._setting("session.keep_seconds"),
        )
        node = Node(
            role=self._setting("cluster.role"),
            host=self._setting("cluster.node_host"),
            capacity=self._setting("cluster.node_capacity"),
            hub_url=self._setting("cluster.hub_url"),
        )
        return replace(
            self._settings or KernelSettings(),
            node=node,
            steps=self._steps(),
            limits=limits,
            objects=self._objects(),
            projects=self._projects(),
            vault=self._vault(),
        )

    def _steps(self) -> "StepSettings":
        """Return how steps of pipelines run; what the kernel signs in elsewhere with is hidden from them too."""
        from nexus.kernel.settings import StepSettings

        keys = ("data.s3_credentials", "vault.token_file", "vault.secret_id_file", "serve.tls_key")
        files = (_file(self._setting(key)) for key in keys)
        return StepSettings(
            parallel=self._setting("pipelines.parallel"),
            sandbox=self._setting("pipelines.sandbox"),
            confinement=(sys.executable, "-I", "-S", "-B", str(CONFINEMENT)),
            read=tuple(map(Path, self._setting("pipelines.read"))),
            hidden=(*self._hidden, *(file for file in files if file is not None and file.is_absolute())),
        )

    def _vault(self) -> "VaultAddress | None":
        """Return where secrets are kept that are not kept here."""
        url = self._setting("vault.url")
        if url is None:
            return None
        from nexus.kernel.settings import VaultAddress

        return VaultAddress(
            url=url,
            mount=self._setting("vault.mount"),
            path=self._setting("vault.path"),
            method=self._setting("vault.method"),
            role_mount=self._setting("vault.role_mount"),
            role_id=self._setting("vault.role_id"),
            token_file=_file(self._setting("vault.token_file")),
            secret_id_file=_file(self._setting("vault.secret_id_file")),
            ca=_file(self._setting("vault.ca_file")),
            namespace=self._setting("vault.namespace"),
            seconds=self._setting("vault.timeout"),
            environment=self._settings.vault_environment if self._settings is not None else {},
        )

    def _projects(self) -> Path | None:
        root = self._setting("serve.fs_root")
        return Path(root).expanduser() if root is not None else None

    def _objects(self) -> "ObjectStore | None":
        """Return where bytes are kept that are not kept here."""
        endpoint, bucket = self._setting("data.s3_endpoint"), self._setting("data.s3_bucket")
        if endpoint is None or bucket is None:
            return None
        from nexus.kernel.settings import ObjectStore

        return ObjectStore(
            endpoint=endpoint,
            bucket=bucket,
            credentials=Path(self._setting("data.s3_credentials")).expanduser(),
            region=self._setting("data.s3_region"),
            prefix=self._setting("data.s3_prefix"),
            profile=self._setting("data.s3_profile"),
        )


def _file(named: str | None) -> Path | None:
    return Path(named).expanduser() if named is not None else None


def _import() -> None:
    collects = gc.isenabled()
    # Imports leave no garbage, and looking for it takes a tenth of their time.
    gc.disable()
    try:
        import nexus.kernel.kernel  # noqa: F401 -- read into the cache of modules
    finally:
        if collects:
            gc.enable()


async def _listens(socket: str) -> bool:
    """Say whether a process of ours answers there: a socket of another user is never spoken to."""
    try:
        if os.stat(socket).st_uid != os.geteuid():
            return False
        _, writer = await asyncio.wait_for(asyncio.open_unix_connection(socket), 5.0)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
