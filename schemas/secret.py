"""Secrets by name. A value goes in, and comes out in the environment and the files of programs only."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nexus.schemas.model import Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery

MOST_VALUE = 64 * 1024
MOST_SECONDS = 366 * 24 * 3600

SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
"""As an environment variable's, which it becomes."""

SecretNames = Annotated[list[SecretName], Field(max_length=50)]


SecretPlace = Literal["kernel", "vault", "lease"]

VaultPath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+$", max_length=500)
]
"""What a Vault's engine lends from, as `database/creds/reporting`."""


class LeaseReference(StrictModel):
    """Credentials that a Vault lends for a time: the `field` of what is at `path`, left out all of it as JSON."""

    path: VaultPath
    field: str | None = Field(default=None, min_length=1, max_length=200)


class Secret(Model):
    """What is told of a secret. `rotates_at` is when its next value is made, where one is made by itself.

    `kept` says where its value is: sealed in the kernel's database, in the Vault, or (`lease`) lent by the Vault to
    each program anew.
    """

    name: str
    version: int
    created_at: Timestamp
    rotated_at: Timestamp
    rotates_at: Timestamp | None = None
    kept: SecretPlace = "kernel"
    lease: LeaseReference | None = None


class SecretQuery(PageQuery):
    name: str | None = None


class SecretValue(StrictModel):
    """A value, or what the Vault is to lend to each program in its place."""

    value: str | None = Field(default=None, min_length=1, max_length=MOST_VALUE, repr=False)
    lease: LeaseReference | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.value is None) == (self.lease is None):
            raise PydanticCustomError("one_source", "Give exactly one of value and lease.")
        return self


class SecretRotation(StrictModel):
    """A new value: the one given, or so many characters made at random.

    `every_seconds` has it made again and again, `by_hand` has that end.
    """

    value: str | None = Field(default=None, min_length=1, max_length=MOST_VALUE, repr=False)
    characters: int = Field(default=32, ge=16, le=1024)
    every_seconds: int | None = Field(default=None, ge=60, le=MOST_SECONDS)
    by_hand: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.by_hand and self.every_seconds is not None:
            raise PydanticCustomError("two_schedules", "Give one of everySeconds and byHand.")
        return self
