"""Secrets: values by name, given to programs, masked in what they print, and never told."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nexus.handlers.api_errors import FROM_VAULT, READING, WRITING
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.secrets_given import secret_given
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.secret import MOST_VALUE, LeaseReference, Secret, SecretName, SecretRotation, SecretValue, VaultPath

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


class RotateArguments(SecretArguments):
    stdin: bool = Field(default=False, description="Read the next value from standard input; else one is made.")
    characters: int = Field(default=32, ge=16, le=1024, description="How many characters are made.")
    every: int | None = Field(
        default=None, ge=60, le=366 * 24 * 3600, description="Seconds after which the kernel makes the next, and so on."
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
    examples = (Example(line="nexus settings secret rotate API_KEY", shows="The next value", needs=(SET_DEMO,)),)

    async def execute(self, context: ExecutionContext[RotateArguments]) -> Secret:
        given = context.args
        value = None
        if given.stdin:
            value = await secret_given(context, f"Next value of {given.name}: ", field="value", most=MOST_VALUE)
        body = SecretRotation(value=value, characters=given.characters, every_seconds=given.every)
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
