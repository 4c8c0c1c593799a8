"""What a kernel is told when it is opened, beside its folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nexus.kernel.store.store import DatabaseAddress


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A bucket of a service that speaks S3, where new bytes of data sets and artifacts are kept.

    `credentials` is a file as AWS's tools write it, of which the section `profile` is read.
    """

    endpoint: str
    bucket: str
    credentials: Path
    region: str = "us-east-1"
    prefix: str = ""
    profile: str = "default"


@dataclass(frozen=True, slots=True)
class VaultAddress:
    """A HashiCorp Vault or an OpenBao that keeps the secrets' values, and lends credentials.

    Values are in the KV engine (version 2) at `mount`, below `path`. The kernel signs in by a token or as an AppRole,
    whose method is at `role_mount`. What it signs in with is read from `environment` (VAULT_TOKEN, VAULT_ROLE_ID,
    VAULT_SECRET_ID), else from the files, each time anew. `ca` is a file with the certificates that are believed, left
    out the system's. No call takes longer than `seconds`.
    """

    url: str
    mount: str = "secret"
    path: str = "nexus"
    method: Literal["token", "approle"] = "token"
    role_mount: str = "approle"
    role_id: str | None = None
    token_file: Path | None = None
    secret_id_file: Path | None = None
    ca: Path | None = None
    namespace: str | None = None
    seconds: int = 10
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Node:
    """What the kernel is among others: alone, a hub, or a node of one.

    `host` is what others call it. `capacity` bounds how many programs a hub or a node runs.
    """

    role: Literal["standalone", "hub", "node"] = "standalone"
    host: str = "localhost"
    capacity: int = 16
    hub_url: str | None = None

    @property
    def bound(self) -> int | None:
        """How many programs may run at once; a kernel that is alone bounds none."""
        return None if self.role == "standalone" else self.capacity


GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the sessions' events is kept.

    `quota_bytes` bounds the file itself: there appends wait, and programs with them.
    """

    total_bytes: int = 8 * GIB
    session_bytes: int = 2 * GIB
    age_seconds: float = 14 * 24 * 3600.0
    quota_bytes: int | None = None


SandboxKind = Literal["bubblewrap", "landlock", "none"]


@dataclass(frozen=True, slots=True)
class StepSettings:
    """How the steps of pipelines run: `parallel` of them at once, each in a sandbox of this kind.

    Left out, the sandbox is the best that this machine can. `confinement` is the command of the program that makes it:
    without one no step runs. `read` are folders of the machine that every step may read beside the system's own.
    `hidden` are folders that no step ever sees.
    """

    parallel: int | None = None
    sandbox: SandboxKind | None = None
    confinement: tuple[str, ...] = ()
    read: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """`secret` takes the place of the file with the kernel's own secret; kernels that share a database share it.

    `database` keeps the state in the place of the file in the data folder, `objects` bytes that are new, `vault` the
    secrets; `vault_environment` has the VAULT_… variables that the kernel signs in there with. `projects` is the folder
    for those of projects that have none of their own, left out one in the data folder. `limits` say how much is kept of
    the sessions' events, `steps` how the steps of pipelines run. `node` is what the kernel is among others.
    `environment` is that of programs which the kernel itself starts (git); left out, it is the least that works.
    `environment` is that of programs which the kernel itself starts (git), left out the least that works.
    """

    secret: str | None = None
    database: DatabaseAddress | None = None
    vault_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    node: Node = field(default_factory=Node)
    steps: StepSettings = field(default_factory=StepSettings)
    limits: Limits = field(default_factory=Limits)
    objects: ObjectStore | None = None
    projects: Path | None = None
    vault: VaultAddress | None = None
    environment: Mapping[str, str] | None = None

    @property
    def decides(self) -> bool:
        """Whether a kernel that was opened without these would be another."""
        return self.secret is not None or self.database is not None or bool(self.vault_environment)
