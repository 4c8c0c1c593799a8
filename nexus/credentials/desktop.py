"""The keyring of this user's desktop for the kernel, which lives without a command's environment."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from nexus.credentials.keyring import Keyring, KeyringUnusable
from nexus.schemas.errors import BackendUnavailable


class DesktopKeyring:
    """The keyring that a process of the user's finds. `takes_new` says whether new secrets may be put there."""

    def __init__(self, environment: Mapping[str, str], *, takes_new: bool) -> None:
        self._environment = found(environment)
        self.takes_new = takes_new and self._environment is not None

    async def get(self, account: str) -> str | None:
        """Return a secret. Raises `BackendUnavailable`."""
        try:
            return await self._keyring().get(account)
        except KeyringUnusable as error:
            raise BackendUnavailable.because(f"{error}.") from error

    async def set(self, account: str, value: str) -> None:
        """Keep a secret. Raises `BackendUnavailable`."""
        try:
            await self._keyring().set(account, value)
        except KeyringUnusable as error:
            raise BackendUnavailable.because(f"{error}.") from error

    def _keyring(self) -> Keyring:
        if self._environment is None:
            raise KeyringUnusable("no desktop of this user runs here")
        return Keyring(self._environment)


def found(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the environment in which a keyring can be asked; None where none can be: to ask costs half a second."""
    kept = {name: environment[name] for name in ("HOME", "PATH", "LC_ALL") if name in environment}
    if sys.platform == "darwin" or "PYTHON_KEYRING_BACKEND" in environment:
        return dict(environment)
    bus = environment.get("DBUS_SESSION_BUS_ADDRESS")
    if bus is None:
        runtime = Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
        socket = runtime / "bus"
        try:
            if not socket.is_socket() or socket.stat().st_uid != os.getuid():
                return None
        except OSError:
            return None
        kept["XDG_RUNTIME_DIR"] = str(runtime)
        bus = f"unix:path={socket}"
    return {**kept, "DBUS_SESSION_BUS_ADDRESS": bus}
