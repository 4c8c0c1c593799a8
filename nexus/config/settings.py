"""What can be set: categories of keys, each with a type, a default and a meaning."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints
from pydantic.fields import FieldInfo

from nexus.schemas.database import DatabaseUrl
from nexus.schemas.model import StrictModel

Seconds = Annotated[float, Field(gt=0, le=86_400 * 366)]


class OutputSettings(StrictModel):
    """How answers are written."""

    format: Literal["json", "human", "table", "yaml", "toon"] = Field(
        "json", description="What --output is when it is not said."
    )


class ThemeSettings(StrictModel):
    """How people's output and pages look."""

    mode: Literal["auto", "dark", "light"] = Field("auto", description="Dark, light, or what the terminal says.")
    palette: str = Field("default", max_length=100, description="The name of a palette.")


class WorkspaceSettings(StrictModel):
    """How a person's workspace behaves."""

    auto_open_terminal: bool = Field(False, description="Open a terminal with a project.")
    detail_mode: Literal["minimal", "expanded"] = Field("minimal", description="How much is shown of each thing.")
    remember_last_path: bool = Field(True, description="Come back to the folder that was open last.")


class ServerSettings(StrictModel):
    """Which kernel is spoken to."""

    url: str | None = Field(None, description="A server's URL; without one the local kernel answers.")
    ca_file: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        pattern="^[/~]",
        description="The certificates (PEM) that a server is known by, in the place of the usual ones.",
    )
    authentication: str | None = Field(
        None, min_length=1, max_length=40, description="Sign in by this method, which a plugin brings."
    )


class RuntimeSettings(StrictModel):
    """Limits of a command, and of the process that answers."""

    timeout: Seconds = Field(300.0, description="Seconds after which a command that does not stream gives up.")
    idle: Seconds = Field(
        900.0, description="Seconds without a command or a session after which the resident process ends."
    )
    keyring: bool = Field(
        False,
        description="Make the kernel's own secret in the keyring of your desktop, and not in a file: chosen once. "
        "A kernel that starts where the keyring is locked, over SSH or by cron, has no secret then.",
    )


class SessionSettings(StrictModel):
    """How sessions are reached."""

    transport: Literal["websocket", "polling", "hybrid", "local"] | None = Field(
        None, description="What --transport is when it is not said; without it the best that there is."
    )
    poll_interval: float | None = Field(
        None, gt=0, le=60_000, description="Milliseconds between polls; without it each waits for what comes."
    )
    keep_seconds: Seconds = Field(
        14 * 86_400.0, description="How long the kernel keeps events; it reads this at its start."
    )
    keep_bytes: int = Field(
        8 * 1024**3, ge=1024**2, description="How many bytes of events the kernel keeps in all, the newest."
    )
    keep_session_bytes: int = Field(
        2 * 1024**3, ge=1024**2, description="How many bytes of events it keeps of one session, the newest."
    )


class DataSettings(StrictModel):
    """How data sets and artifacts are moved."""

    stall: float = Field(
        30.0, gt=0, le=3600, description="Seconds without a byte after which a transfer is tried again."
    )
    s3_endpoint: str | None = Field(
        None, max_length=2048, description="An S3 service that the kernel keeps bytes at; it reads this at its start."
    )
    s3_bucket: str | None = Field(None, min_length=1, max_length=255, description="The bucket there.")
    s3_region: str = Field("us-east-1", min_length=1, max_length=100, description="The service's word for its place.")
    s3_prefix: str = Field("", max_length=500, description="What every key there begins with.")
    s3_credentials: str = Field(
        "~/.aws/credentials", max_length=4096, description="The file with the access key and its secret, as AWS's."
    )
    s3_profile: str = Field("default", min_length=1, max_length=100, description="The section of that file.")


_ModelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_BaseUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$", max_length=2048)]


class AiSettings(StrictModel):
    """Which back ends answer in AI chats. Their keys are read from the environment, never from here."""

    backend: str | None = Field(
        None, min_length=1, max_length=4200, description="The back end of a new session that names none."
    )
    openai_model: _ModelName | None = Field(None, description="The model of OpenAI, or of a server that speaks as it.")
    openai_base_url: _BaseUrl | None = Field(None, description="A server that speaks as OpenAI does.")
    anthropic_model: _ModelName | None = Field(None, description="The model of Anthropic.")
    anthropic_base_url: _BaseUrl | None = Field(None, description="Another address of Anthropic's API.")
    google_model: _ModelName | None = Field(None, description="The model of Gemini.")
    google_base_url: _BaseUrl | None = Field(None, description="Another address of Gemini's API.")
    ollama_model: _ModelName | None = Field(None, description="The model of Ollama; else the first that it has.")
    ollama_base_url: _BaseUrl | None = Field(None, description="Where Ollama is; else on this machine.")
    timeout: float = Field(
        300.0, gt=0, le=86_400, description="Seconds without a word from a back end after which it is given up."
    )
    permissions: Literal["reject", "read", "allow"] = Field(
        "reject", description="What a coding agent that asks is told: no; yes to reading; yes."
    )
    context_window: int | None = Field(
        None, ge=1, description="How many tokens the model takes, where its back end does not know."
    )


class ServeSettings(StrictModel):
    """How `nexus serve` opens the kernel to a network."""

    host: str = Field("127.0.0.1", min_length=1, max_length=255, description="The address to serve at.")
    port: int = Field(
        3001, ge=0, le=65535, description="The port to serve at.", json_schema_extra={"variable": "NEXUS_PORT"}
    )
    workers: int = Field(1, ge=1, le=64, description="How many processes answer.")
    tls_cert: str | None = Field(None, max_length=4096, description="The file with the certificate (PEM).")
    tls_key: str | None = Field(None, max_length=4096, description="The file with the certificate's key (PEM).")
    origins: list[str] = Field(default_factory=list, description="Pages that may ask from a browser.")
    proxies: list[str] = Field(default_factory=list, description="Proxies whose word for an address is taken.")
    requests_per_minute: int = Field(6000, ge=1, le=10_000_000, description="What one caller may ask in a minute.")
    fs_root: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        pattern="^[/~]",
        description="The folder for those of projects that have none of their own; a kernel takes it when it starts.",
        json_schema_extra={"variable": "NEXUS_FS_ROOT"},
    )
    registration_open: bool = Field(
        False,
        description="Let anyone open an account.",
        json_schema_extra={"variable": "NEXUS_REGISTRATION_OPEN"},
    )
    open_metrics: bool = Field(False, description="Let anyone read /metrics.")
    database_url: DatabaseUrl | None = Field(
        None, description="PostgreSQL, in the place of SQLite, without a password: postgresql://USER@HOST/NAME."
    )


_VaultPlace = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$", max_length=300)
]


class VaultSettings(StrictModel):
    """A HashiCorp Vault or an OpenBao that keeps secrets; a kernel reads this when it starts.

    Tokens and secret ids are never here: they are in files, or in VAULT_TOKEN and VAULT_SECRET_ID of `nexus serve`.
    """

    url: _BaseUrl | None = Field(None, description="Its address; without one the kernel keeps secrets itself.")
    mount: _VaultPlace = Field("secret", description="Where its KV engine, version 2, is mounted.")
    path: _VaultPlace = Field("nexus", description="The folder there that has the secrets.")
    method: Literal["token", "approle"] = Field("token", description="How the kernel signs in.")
    token_file: str = Field("~/.vault-token", min_length=1, max_length=4096, description="The file with the token.")
    role_id: str | None = Field(None, min_length=1, max_length=200, description="The AppRole's id.")
    role_mount: _VaultPlace = Field("approle", description="Where the AppRole method is mounted.")
    secret_id_file: str | None = Field(
        None, min_length=1, max_length=4096, description="The file with the AppRole's secret id."
    )
    ca_file: str | None = Field(
        None, min_length=1, max_length=4096, description="The file with the certificates that are believed (PEM)."
    )
    namespace: str | None = Field(None, min_length=1, max_length=300, description="The namespace, where it has some.")
    timeout: int = Field(10, ge=1, le=120, description="Seconds after which a request to it is given up.")


_Folder = Annotated[str, StringConstraints(pattern=r"^/[^\x00]*$", max_length=4096)]


class PipelinesSettings(StrictModel):
    """How the steps of pipelines run; a kernel reads this when it starts."""

    parallel: int | None = Field(
        None, ge=1, le=1000, description="How many steps run at once; without it as many as there are processors."
    )
    sandbox: Literal["bubblewrap", "landlock", "none"] | None = Field(
        None, description="What walls a step off; without it the best that the machine has."
    )
    read: list[_Folder] = Field(
        default_factory=list, description="Folders that every step may read, beside programs and its own."
    )


class ClusterSettings(StrictModel):
    """What this machine is among others."""

    role: Literal["standalone", "hub", "node"] = Field("standalone", description="Alone, a hub, or a hub's node.")
    hub_url: str | None = Field(
        None,
        max_length=2048,
        pattern=r"^(https?|wss?)://[^\s/]+",
        description="A node's hub.",
        json_schema_extra={"variable": "NEXUS_HUB_URL"},
    )
    node_host: str = Field(
        "localhost",
        max_length=255,
        description="What a hub calls this node.",
        json_schema_extra={"variable": "NEXUS_NODE_HOST"},
    )
    node_capacity: int = Field(
        16,
        ge=1,
        le=100_000,
        description="How many programs a hub or a node runs at once.",
        json_schema_extra={"variable": "NEXUS_NODE_CAPACITY"},
    )


class Settings(StrictModel):
    """Every category."""

    output: OutputSettings = Field(default_factory=OutputSettings)
    theme: ThemeSettings = Field(default_factory=ThemeSettings)
    workspace: WorkspaceSettings = Field(default_factory=WorkspaceSettings)
    server: ServerSettings = Field(default_factory=ServerSettings)
    runtime: RuntimeSettings = Field(default_factory=RuntimeSettings)
    session: SessionSettings = Field(default_factory=SessionSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    ai: AiSettings = Field(default_factory=AiSettings)
    serve: ServeSettings = Field(default_factory=ServeSettings)
    vault: VaultSettings = Field(default_factory=VaultSettings)
    pipelines: PipelinesSettings = Field(default_factory=PipelinesSettings)
    cluster: ClusterSettings = Field(default_factory=ClusterSettings)


SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
"""The model of each category."""

CATEGORIES: dict[str, dict[str, FieldInfo]] = {name: dict(model.model_fields) for name, model in SECTIONS.items()}
"""The settings of each category."""
