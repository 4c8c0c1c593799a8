"""The keyring of the caller's desktop: asked in the caller's environment, and given up after a few seconds."""

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

SECONDS = 5.0
PROGRAM = Path(__file__).with_name("keyring_process.py")


class KeyringUnusable(Exception):
    """There is no keyring, or it did not answer in time."""


class Keyring:
    """One caller's keyring."""

    def __init__(self, environment: Mapping[str, str], seconds: float = SECONDS) -> None:
        self._environment = environment
        self._seconds = seconds

    async def get(self, account: str) -> str | None:
        """Return a secret. Raises `KeyringUnusable`."""
        return await self._ask("get", account)

    async def set(self, account: str, value: str) -> None:
        """Keep a secret, and see that it is there. Raises `KeyringUnusable`."""
        if await self._ask("set", account, value) != value:
            raise KeyringUnusable("the keyring forgets what it is given")

    async def delete(self, account: str) -> None:
        """Forget a secret. Raises `KeyringUnusable`."""
        await self._ask("delete", account)

    async def _ask(self, action: str, account: str, value: str | None = None) -> str | None:
        asked = {"path": [*sys.path], "action": action, "account": account, "value": value}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(PROGRAM)),
            env=dict(self._environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._seconds):
                output, _ = await process.communicate(json.dumps(asked).encode())
        except TimeoutError:
            raise KeyringUnusable(f"the keyring did not answer within {self._seconds:g} seconds") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        try:
            told = json.loads(output)
        except ValueError:
            raise KeyringUnusable("there is no keyring that can be used") from None
        found = told.get("value")
        return found if isinstance(found, str) else None
