"""Secrets: values by name, given to programs, masked in what they print, and never told."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from nexus.handlers.api_errors import FROM_VAULT, READING, WRITING
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.secrets_given import secret_given
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import NotFound, ValidationError
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.secret import (
    MOST_SECONDS,
    MOST_VALUE,
    LeaseReference,
    Secret,
    SecretName,
    SecretRotation,
    SecretValue,
    VaultPath,
)

ONE = "/api/secrets/{id}"
SET_DEMO = "echo 'a long value' | nexus settings secret set API_KEY"


class SecretArguments(Arguments):
    name: SecretName = Field(
        description="The secret's name, and the variable that programs find it in.",
        json_schema_extra={"positional": True, "flag": True, "short": "n"},
    )


class SetArguments(SecretArguments):
    lease: VaultPath | None = Field(
        default=None,
        description="Have the Vault lend credentials from this path to each program, as database/creds/reporting.",
        json_schema_extra={"metavar": "PATH"},
    )
    field: str | None = Field(
        default=None, min_length=1, max_length=200, description="The field of what is lent; else all of it, as JSON."
    )

    @model_validator(mode="after")
    def _of_a_lease(self) -> Self:
        if self.field is not None and self.lease is None:
            raise PydanticCustomError("field_without_lease", "--field is a field of what --lease lends.")
        return self


class SetSecret(CommandHandler[SetArguments, Secret]):
    """Set a secret: the value is typed unseen at the terminal, or read from standard input.

    With --lease it has no value of its own: the Vault of vault.url lends one to each program, for as long as that runs.
    """

    path = ("settings", "secret", "set")
    arguments = SetArguments
    result = Secret
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*WRITING, *FROM_VAULT)
    examples = (Example(line=SET_DEMO, shows="A value for programs"),)

    async def execute(self, context: ExecutionContext[SetArguments]) -> Outcome[Secret]:
        given = context.args
        name = given.name
        if given.lease is not None:
            body = SecretValue(lease=LeaseReference(path=given.lease, field=given.field))
        else:
            value = await secret_given(context, f"Value of {name}: ", field="value", most=MOST_VALUE)
            body = SecretValue(value=value)
        secret = await context.api.put(ONE, Secret, at={"id": name}, body=body)
        message = f"nexus debug process start --secret {name} -- COMMAND has it in ${name} and the file ${name}_FILE."
        return Outcome(secret, message=message, change="created" if secret.version == 1 else "updated")


class ListSecrets(CommandHandler[ListArguments, Page[Secret]]):
    """List the secrets; their values are never told."""

    path = ("settings", "secret", "list")
    arguments = ListArguments
    result = Page[Secret]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, *FROM_VAULT)
    examples = (Example(line="nexus settings secret list", shows="Names, versions and when they change"),)

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Secret]:
        return await context.api.get("/api/secrets", Page[Secret], query=query_of(context.args))


NEVER = "never"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
Every = Annotated[
    str,
    StringConstraints(pattern=rf"^([1-9][0-9]{{0,8}}[smhd]?|{NEVER})$"),
    BeforeValidator(lambda given: str(given) if isinstance(given, int) and not isinstance(given, bool) else given),
]


def seconds_of(every: str) -> int:
    """Return a time in seconds. Raises `ValidationError` for one under a minute or over a year."""
    unit = UNITS.get(every[-1])
    seconds = int(every) if unit is None else int(every[:-1]) * unit
    if not 60 <= seconds <= MOST_SECONDS:
        raise ValidationError.because("It is a minute at the least, and 366 days at the most.", field="every")
    return seconds


class RotateArguments(SecretArguments):
    stdin: bool = Field(default=False, description="Read the next value from standard input; else one is made.")
    characters: int = Field(default=32, ge=16, le=1024, description="How many characters are made.")
    every: Every | None = Field(
        default=None,
        description="Have the kernel make the next after this time, and so on: 30d, 12h, 90m, or seconds; or never.",
        json_schema_extra={"metavar": "TIME"},
    )


class RotateSecret(CommandHandler[RotateArguments, Secret]):
    """Give a secret its next value: made at random, read from standard input, or lent anew.

    What starts from then on has it, and what runs finds it in the secret's file.
    """

    path = ("settings", "secret", "rotate")
    arguments = RotateArguments
    result = Secret
    effects = frozenset({Effect.WRITE})
    change = "updated"
    errors = (*WRITING, *FROM_VAULT, NotFound)
    examples = (
        Example(line="nexus settings secret rotate API_KEY", shows="The next value", needs=(SET_DEMO,)),
        Example(line="nexus settings secret rotate API_KEY --every 30d", shows="And one a month", needs=(SET_DEMO,)),
    )

    async def execute(self, context: ExecutionContext[RotateArguments]) -> Secret:
        given = context.args
        value = None
        if given.stdin:
            value = await secret_given(context, f"Next value of {given.name}: ", field="value", most=MOST_VALUE)
        never = given.every == NEVER
        seconds = seconds_of(given.every) if given.every is not None and not never else None
        body = SecretRotation(value=value, characters=given.characters, every_seconds=seconds, by_hand=never)
        return await context.api.post(f"{ONE}/rotate", Secret, at={"id": given.name}, body=body)


class DeleteSecret(CommandHandler[SecretArguments, Deleted]):
    """Delete a secret; programs that have it keep it until they end."""

    path = ("settings", "secret", "delete")
    arguments = SecretArguments
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITING, *FROM_VAULT, NotFound)
    examples = (Example(line="nexus settings secret delete API_KEY --yes", shows="Be rid of one", needs=(SET_DEMO,)),)

    async def execute(self, context: ExecutionContext[SecretArguments]) -> Deleted:
        return await context.api.delete(ONE, Deleted, at={"id": context.args.name})
