"""Secrets over the API: set, listed, rotated, deleted. No operation tells a value."""

import asyncio
import logging
import re
import time
from collections.abc import Sequence

from sqlalchemy import Connection, text

from nexus.kernel.api.late import Behind, LateOperation
from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.caller import Caller
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.store.rows import now
from nexus.schemas.errors import ValidationError
from nexus.schemas.kernel import Deleted, LiveCounts
from nexus.schemas.page import Page
from nexus.schemas.secret import Secret, SecretQuery, SecretRotation, SecretValue

LOOK_SECONDS = 30.0
"""So often a kernel looks for secrets that are due."""
SWEEP_SECONDS = 3600.0
"""So often it looks for what programs had that ended unseen; the first time when it starts."""
FIRST_SECONDS = 5.0
"""So long a resident's first commands go before that."""

# Words of SQL, because most kernels have none: nothing of secrets is imported to learn that.
DUE = text("SELECT 1 FROM secrets WHERE rotates_at <= :now LIMIT 1")

SCHEDULE = Caller("schedule", "none")
"""Who rotates what is due, as the audit chain tells it."""

log = logging.getLogger("nexus.kernel.secrets")


class SecretsPart(Part):
    """The secrets of this data folder. A kernel that stays rotates those that are due."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._secrets = surroundings.secrets
        self._store = surroundings.store
        self._mode = surroundings.host.mode
        self._witness = surroundings.witness
        self._swept_at = -SWEEP_SECONDS
        self._drivers = surroundings.drivers
        self._staying: asyncio.Task[None] | None = None

    def operations(self) -> Sequence[Operation]:
        """Return where secrets are asked for."""
        many, one, command = "/api/secrets", "/api/secrets/{id}", "settings.secret"
        return (
            LateOperation("GET", many, f"{command}.list", "List secrets, never their values.", self._load),
            LateOperation("PUT", one, f"{command}.set", "Set a secret.", self._load, secret=True),
            LateOperation("POST", f"{one}/rotate", f"{command}.rotate", "Give a secret its next value.", self._load),
            LateOperation("DELETE", one, f"{command}.delete", "Delete a secret.", self._load),
        )

    async def start(self) -> None:
        """Begin to look after them, where the kernel stays."""
        if self._mode != "one-shot":
            self._staying = asyncio.create_task(self._stay(), name="secrets that are due")

    async def close(self) -> None:
        """End it; what ended is revoked, within seconds."""
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.wait((self._staying,))
        await self._secrets.close()

    async def _stay(self) -> None:
        """Rotate what is due, and end what programs had that ended unseen, for as long as the kernel runs."""
        await asyncio.sleep(FIRST_SECONDS if self._mode == "resident" else 0)
        while True:
            try:
                await self.look()
            except Exception:
                # Whatever it is, the next look may go well.
                log.exception("secrets that were due could not be rotated")
            await asyncio.sleep(LOOK_SECONDS)

    def _write_down(self, connection: Connection, name: str) -> None:
        self._witness.record(SCHEDULE, "settings.secret.rotate", "done", name=name)(connection)

    async def look(self) -> None:
        """Do once what is due. Raises storage errors, and what the way to the Vault does."""
        if time.monotonic() - self._swept_at > SWEEP_SECONDS and self._secrets.were_given:
            self._swept_at = time.monotonic()
            await self._drivers.ready()
            await self._secrets.sweep(self._drivers.at_work())
        moment = now()
        if await self._store.read(lambda connection: connection.execute(DUE, {"now": moment}).first()) is not None:
            await (await self._secrets.catalog()).rotate_due(self._write_down)
            await self._secrets.changed()

    def live(self) -> LiveCounts:
        """Count the programs that have what a Vault lent: it ends when nobody renews it."""
        return LiveCounts(processes=self._secrets.lent)

    def _load(self, operation_id: str) -> Behind:
        return {
            "settings.secret.list": Behind(self.list, Page[Secret], query=SecretQuery),
            "settings.secret.set": Behind(self.set, Secret, body=SecretValue),
            "settings.secret.rotate": Behind(self.rotate, Secret, body=SecretRotation),
            "settings.secret.delete": Behind(self.delete, Deleted),
        }[operation_id]

    async def list(self, request: ApiRequest[SecretQuery, None]) -> Page[Secret]:
        return await (await self._secrets.catalog()).list(request.query)

    async def set(self, request: ApiRequest[None, SecretValue]) -> Secret:
        name = _checked(request.path["id"])
        secret = await (await self._secrets.catalog()).set(name, request.body, request.write)
        await self._secrets.changed()
        return secret

    async def rotate(self, request: ApiRequest[None, SecretRotation]) -> Secret:
        name = _checked(request.path["id"])
        secret = await (await self._secrets.catalog()).rotate(name, request.body, request.write)
        await self._secrets.changed()
        return secret

    async def delete(self, request: ApiRequest[None, None]) -> Deleted:
        return await (await self._secrets.catalog()).delete(_checked(request.path["id"]), request.write)


def _checked(name: str) -> str:
    """Return a name that a program's environment can have. Raises `ValidationError`."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", name):
        raise ValidationError.because("A secret's name is an environment variable's.", field="name")
    return name
