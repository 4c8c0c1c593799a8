"""What one program was given: values in its environment and its files, masked in what it prints, from then on."""

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.kernel.secrets.masking import Masker
from nexus.schemas.secret import LeaseReference

if TYPE_CHECKING:
    from nexus.kernel.vault.vault import Lease

MOST_VALUES = 50
"""So many values of one secret a program is known to have had, the newest."""

Told = Callable[[str, Sequence[str]], Awaitable[None]]
"""Tells a session's readers what became of the secrets with these names."""


@dataclass(slots=True)
class Lent:
    """A lease that a program has. `names` maps its secrets to fields of the data, None to all of it."""

    id: str
    path: str
    names: dict[str, str | None]
    seconds: float
    renewable: bool
    began: float
    first: float
    token: str
    """A digest of the token that it was lent to."""
    due: float


@dataclass(slots=True)
class Given:
    """The secrets of one session's program. `values` has all that each had, the newest last.

    `over` are leases in whose place others came: they end by themselves, or with the program. `ended` is when the
    program did, 0 while it has not.
    """

    session_id: str
    folder: Path
    told: Told
    values: dict[str, list[str]] = field(default_factory=dict, repr=False)
    versions: dict[str, int] = field(default_factory=dict)
    lent: list[Lent] = field(default_factory=list)
    over: list[tuple[str, str, float]] = field(default_factory=list)
    ended: float = 0.0
    mask: Masker = field(default_factory=lambda: Masker(()))

    @property
    def newest(self) -> dict[str, str]:
        """The values as they are now."""
        return {name: values[-1] for name, values in self.values.items()}

    @property
    def environment(self) -> dict[str, str]:
        """What the program's environment says: NAME is the value, NAME_FILE the file that has the newest one."""
        files = {f"{name}_FILE": str(self.folder / name) for name in self.values}
        return {**files, **self.newest}

    def take(self, values: Mapping[str, str]) -> dict[str, str]:
        """Take newer values, masked from now on, and return those that are others than before."""
        new = {name: value for name, value in values.items() if self.newest.get(name) != value}
        for name, value in new.items():
            self.values[name] = [*self.values.get(name, ()), value][-MOST_VALUES:]
        self.mask.add(new.values())
        return new

    def take_lease(self, lent: Lent) -> None:
        """Take a lease in the place of those that its secrets were of."""
        self.leave([*lent.names])
        self.lent.append(lent)

    def leave(self, names: Sequence[str]) -> None:
        """Have these secrets from no lease any more; one that nothing is left of is over."""
        for before in list(self.lent):
            before.names = {name: part for name, part in before.names.items() if name not in names}
            if not before.names:
                self.lent.remove(before)
                if before.id:
                    self.over.append((before.id, before.path, before.began + before.seconds))
        moment = time.time()
        self.over = [each for each in self.over if each[2] > moment]

    def record(self) -> dict[str, Any]:
        """Return what is kept of it for another process."""
        return {
            "folder": str(self.folder),
            "values": self.values,
            "versions": self.versions,
            "lent": [asdict(each) for each in self.lent],
            "over": self.over,
            "ended": self.ended,
        }

    @classmethod
    def of(cls, session_id: str, record: Mapping[str, Any], told: Told) -> "Given":
        """Return what an earlier process kept."""
        given = cls(
            session_id,
            Path(record["folder"]),
            told,
            values={name: list(values) for name, values in record["values"].items()},
            versions=dict(record["versions"]),
            lent=[Lent(**each) for each in record["lent"]],
            over=[(each[0], each[1], each[2]) for each in record["over"]],
            ended=record["ended"],
        )
        given.mask.add(value for values in given.values.values() for value in values)
        return given


def lent_of(lease: "Lease", names: dict[str, str | None]) -> Lent:
    """Return a lease as a program has it."""
    term = lease.term
    due = term.due if term.seconds else term.began + STATIC_SECONDS
    first = term.first or term.seconds
    seconds, renewable = term.seconds, term.renewable and bool(lease.id)
    return Lent(lease.id, lease.path, names, seconds, renewable, term.began, first, digest_of(lease.token), due)


STATIC_SECONDS = 60.0
"""What is lent without an end is looked at again so often."""


def digest_of(token: str) -> str:
    """Return what tells a token from another, and nothing of it."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def by_path(wanted: Mapping[str, LeaseReference]) -> dict[str, dict[str, str | None]]:
    """Return for each path the secrets that are of it: a user and a password of one lease belong together."""
    found: dict[str, dict[str, str | None]] = {}
    for name, reference in wanted.items():
        found.setdefault(reference.path, {})[name] = reference.field
    return found
