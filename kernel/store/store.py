"""The contract of a store, which all parts of the kernel share, and where one may be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from sqlalchemy import Connection

Result = TypeVar("Result")


class Store(Protocol):
    """One database. Reads see one moment; writes are one at a time over all kernels, each whole or not at all.

    What storage refuses is raised as `StorageLocked`, `StorageReadOnly`, `StorageCorrupt`, `StorageFull`,
    `BackendUnavailable`, `TimeoutExceeded`, or `OutcomeUnknown` where a write was cut off as it was committed.
    """

    @property
    def name(self) -> str:
        """Where the database is, without anything secret."""
        ...

    async def size(self) -> int:
        """Return how many bytes the database takes."""
        ...

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction that sees one moment and writes nothing; it may be begun a second time."""
        ...

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in the one write transaction; what it raises undoes it."""
        ...

    async def close(self) -> None:
        """Finish what is under way and close the database; what comes later is refused as `BackendUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database of a server's, as libpq writes it: `postgresql://user@host/name`.

    `environment` has the PG… variables that stand in for what the URL leaves out, PGPASSWORD and PGPASSFILE for two.
    """

    url: str = field(repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
