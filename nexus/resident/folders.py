"""Places as paths: what the dispatcher and the kernel work with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nexus.places import Places


@dataclass(frozen=True, slots=True)
class Folders:
    """Configuration, state and data of one set of places."""

    config: Path
    state: Path
    data: Path

    @classmethod
    def of(cls, places: Places) -> Self:
        """Return the folders of places."""
        return cls(Path(places.config), Path(places.state), Path(places.data))
