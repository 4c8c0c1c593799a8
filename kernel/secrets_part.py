"""Secrets over the API: set, listed, rotated, deleted. No operation tells a value."""

import asyncio
import re
from collections.abc import Sequence

from nexus.kernel.api.late import Behind, LateOperation
from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.part import Part, Surroundings
from nexus.schemas.errors import ValidationError
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.secret import Secret, SecretQuery, SecretRotation, SecretValue


class SecretsPart(Part):
    """The secrets of this data folder. A kernel that stays rotates those that are due."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._secrets = surroundings.secrets
        self._mode = surroundings.host.mode
        self._rotating: asyncio.Task[None] | None = None

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
        """Begin to rotate, where the kernel stays for long."""
        if self._mode == "server":
            self._rotating = asyncio.create_task(self._secrets.store.keep_rotating())

    async def close(self) -> None:
        """End it."""
        if self._rotating is not None:
            self._rotating.cancel()
            await asyncio.wait((self._rotating,))

    def _load(self, operation_id: str) -> Behind:
        return {
            "settings.secret.list": Behind(self.list, Page[Secret], query=SecretQuery),
            "settings.secret.set": Behind(self.set, Secret, body=SecretValue),
            "settings.secret.rotate": Behind(self.rotate, Secret, body=SecretRotation),
            "settings.secret.delete": Behind(self.delete, Deleted),
        }[operation_id]

    async def list(self, request: ApiRequest[SecretQuery, None]) -> Page[Secret]:
        return await self._secrets.store.list(request.query)

    async def set(self, request: ApiRequest[None, SecretValue]) -> Secret:
        name = _checked(request.path["id"])
        return await request.write(lambda connection: self._secrets.store.set(connection, name, request.body.value))

    async def rotate(self, request: ApiRequest[None, SecretRotation]) -> Secret:
        name = request.path["id"]
        return await request.write(lambda connection: self._secrets.store.rotate(connection, name, request.body))

    async def delete(self, request: ApiRequest[None, None]) -> Deleted:
        name = request.path["id"]
        return await request.write(lambda connection: Deleted(id=self._secrets.store.delete(connection, name)))


def _checked(name: str) -> str:
    """Return a name that a program's environment can have. Raises `ValidationError`."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", name):
        raise ValidationError.because("A secret's name is an environment variable's.", field="name")
    return name
