"""`serve`: the kernel of this machine on a network."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from nexus.handlers.places import absolute
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.database import DatabaseUrl
from nexus.schemas.errors import (
    BackendUnavailable,
    ConfigInvalid,
    Conflict,
    ExtraMissing,
    FolderOwned,
    ResourceUnavailable,
    StorageLocked,
    StorageReadOnly,
    ValidationError,
    VersionConflict,
)
from nexus.schemas.front import ServeOptions
from nexus.schemas.model import Model
from nexus.schemas.stream import OutputStream

SECRET_VARIABLE = "NEXUS_SECRET"  # noqa: S105 -- a variable's name
DATABASE_VARIABLE = "NEXUS_DATABASE_URL"
VAULT_VARIABLES = ("VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID")
LEAST_SECRET = 32

Origin = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+$", max_length=300)]


class ServeArguments(Arguments):
    host: str | None = Field(
        default=None, min_length=1, max_length=255, description="The address to serve at; serve.host is its default."
    )
    port: int | None = Field(
        default=None, ge=0, le=65535, description="The port; 0 takes a free one, serve.port (3001) is its default."
    )
    workers: int | None = Field(
        default=None, ge=1, le=64, description="How many processes answer; serve.workers (1) is its default."
    )
    tls_cert: str | None = Field(default=None, max_length=4096, description="The file with the certificate (PEM).")
    tls_key: str | None = Field(default=None, max_length=4096, description="The file with the certificate's key (PEM).")
    allow_origin: list[Origin] = Field(
        default_factory=list, max_length=100, description="Pages that may ask from a browser, as https://HOST."
    )
    trust_proxy: list[str] = Field(
        default_factory=list, max_length=100, description="Proxies whose word for a client's address is taken."
    )
    registration_open: bool | None = Field(default=None, description="Let anyone open an account.")
    open_metrics: bool = Field(default=False, description="Let anyone read /metrics.")
    database_url: DatabaseUrl | None = Field(
        default=None,
        description="PostgreSQL, in the place of SQLite, without a password: postgresql://USER@HOST/NAME.",
    )


class Served(Model):
    """Where it serves. With `setup` there is no account yet: the token for the first is on stderr."""

    url: str
    setup: bool


class Serve(CommandHandler[ServeArguments, OutputStream]):
    """Open this machine's kernel to a network.

    Accounts, roles and bounds rule then, and nothing is open by itself. Until interrupted. Without an account there, a
    set-up token for the first is printed to stderr. Of several workers the first is the kernel; the others read by
    themselves, and hand it the rest. NEXUS_SECRET takes the place of the kernel's own secret, and NEXUS_DATABASE_URL
    that of serve.database_url. With vault.url set, VAULT_TOKEN, VAULT_ROLE_ID and VAULT_SECRET_ID sign in there. The
    access log goes to stderr, one JSON object a line.
    """

    path = ("serve",)
    arguments = ServeArguments
    result = Served
    effects = frozenset({Effect.WRITE})
    command_line_only = True
    errors = (
        *(ResourceUnavailable, ConfigInvalid, Conflict, FolderOwned),
        *(ValidationError, StorageLocked, StorageReadOnly),
        *(BackendUnavailable, ExtraMissing, VersionConflict),
    )
    examples = (Example(line="nexus serve --port 3001 --dry-run", shows="What would be served"),)

    async def execute(self, context: ExecutionContext[ServeArguments]) -> OutputStream:
        given = context.args
        secret = context.environment.get(SECRET_VARIABLE) or None
        if secret is not None and len(secret) < LEAST_SECRET:
            raise ValidationError.because(f"{SECRET_VARIABLE} wants at least {LEAST_SECRET} characters.")
        if context.config.get("cluster.role").value == "node" and context.config.get("cluster.hub_url").value is None:
            raise ConfigInvalid.because(
                "A node has a hub: cluster.hub_url (NEXUS_HUB_URL) says where.",
                field="cluster.hub_url",
                hint="nexus settings config set --key cluster.hub_url --value https://HUB",
            )
        return await context.fronts.serve(
            ServeOptions(
                host=_or(given.host, context, "serve.host"),
                port=_or(given.port, context, "serve.port"),
                workers=_or(given.workers, context, "serve.workers"),
                tls_certificate=_file(given.tls_cert, context, "serve.tls_cert"),
                tls_key=_file(given.tls_key, context, "serve.tls_key"),
                origins=tuple(given.allow_origin or context.config.get("serve.origins").value),
                proxies=tuple(given.trust_proxy or context.config.get("serve.proxies").value),
                requests_per_minute=context.config.get("serve.requests_per_minute").value,
                registration_open=_or(given.registration_open, context, "serve.registration_open"),
                open_metrics=given.open_metrics or context.config.get("serve.open_metrics").value,
                secret=secret,
                database_url=_database(context),
                database_environment={
                    name: value for name, value in context.environment.items() if name.startswith("PG")
                },
                vault_environment=_vault(context),
            )
        )


def _or(given: Any, context: ExecutionContext[Any], key: str) -> Any:
    return context.config.get(key).value if given is None else given


def _database(context: ExecutionContext[ServeArguments]) -> str | None:
    # The variable is no setting's: it may hold a password, and settings are shown.
    given = context.args.database_url or context.environment.get(DATABASE_VARIABLE)
    return given or context.config.get("serve.database_url").value


def _vault(context: ExecutionContext[ServeArguments]) -> dict[str, str]:
    if context.config.get("vault.url").value is None:
        return {}
    return {name: context.environment[name] for name in VAULT_VARIABLES if context.environment.get(name)}


def _file(given: str | None, context: ExecutionContext[Any], key: str) -> Path | None:
    named = _or(given, context, key)
    return None if named is None else Path(absolute(named, context.cwd, context.environment))
