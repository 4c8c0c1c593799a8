"""Secrets by name. A value goes in, and comes out in the environment of programs only."""

from typing import Annotated

from pydantic import Field, StringConstraints

from nexus.schemas.model import Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery

MOST_VALUE = 64 * 1024

SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
"""As an environment variable's, which it becomes."""

SecretNames = Annotated[list[SecretName], Field(max_length=50)]


class Secret(Model):
    """What is told of a secret. `rotates_at` is when its next value is made, where one is made by itself."""

    name: str
    version: int
    created_at: Timestamp
    rotated_at: Timestamp
    rotates_at: Timestamp | None = None


class SecretQuery(PageQuery):
    name: str | None = None


class SecretValue(StrictModel):
    value: str = Field(min_length=1, max_length=MOST_VALUE, repr=False)


class SecretRotation(StrictModel):
    """A new value: the one given, or so many characters made at random. `every_seconds` has it made again and again."""

    value: str | None = Field(default=None, min_length=1, max_length=MOST_VALUE, repr=False)
    characters: int = Field(default=32, ge=16, le=1024)
    every_seconds: int | None = Field(default=None, ge=60, le=366 * 24 * 3600)
