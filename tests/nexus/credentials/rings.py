"""Keyrings for tests: one that keeps a file, one that hangs as a locked one does where nobody can unlock it."""

import json
import os
import time
from pathlib import Path

from keyring.backend import KeyringBackend


class FileRing(KeyringBackend):
    """Keeps passwords in the file that RING names."""

    priority = 1  # type: ignore[assignment]  # keyring's own way to say it

    def _file(self) -> Path:
        return Path(os.environ["RING"])  # noqa: TID251 -- a program of its own

    def _all(self) -> dict[str, str]:
        return json.loads(self._file().read_text()) if self._file().exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._file().write_text(json.dumps({**self._all(), f"{service} {username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        kept = self._all()
        kept.pop(f"{service} {username}")
        self._file().write_text(json.dumps(kept))


class HangingRing(FileRing):
    """Waits for somebody to unlock it."""

    def get_password(self, service: str, username: str) -> str | None:
        time.sleep(600)
        return None
