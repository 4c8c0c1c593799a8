"""What a kernel is told when it is opened, beside its folder."""

from dataclasses import dataclass
from pathlib import Path

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
class KernelSettings:
    """`secret` takes the place of the file with the kernel's own secret; kernels that share a database share it.

    `database` keeps the state in the place of the file in the data folder.
    """

    secret: str | None = None
    database: DatabaseAddress | None = None

    @property
    def decides(self) -> bool:
        """Whether a kernel that was opened without these would be another."""
        return self.secret is not None or self.database is not None
