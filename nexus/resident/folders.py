"""Places as paths: what the dispatcher and the kernel work with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nexus.places import Places

if TYPE_CHECKING:
    from nexus.credentials.desktop import DesktopKeyring


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

    def hidden(self, runtime: str) -> tuple[Path, ...]:
        """Return what programs of others never see: these folders, that of the sockets, and the user's own keys."""
        own = (Path("~/.ssh").expanduser(), Path("~/.gnupg").expanduser())
        return (self.config, self.state, self.data, Path(runtime), *(path for path in own if path.is_absolute()))

    def keyring(self, environment: Mapping[str, str]) -> "DesktopKeyring":
        """Return the keyring for the kernel's own secret; a new one is put there where the settings want that."""
        from nexus.credentials.desktop import DesktopKeyring

        return DesktopKeyring(environment, takes_new=bool(self.setting("runtime.keyring", environment)))

    def setting(self, key: str, environment: Mapping[str, str]) -> Any:
        """Return a setting of this process's own; of a file that cannot be read, whoever runs a command is told."""
        from nexus.config.configuration import TomlConfiguration
        from nexus.schemas.errors import NexusError

        config = TomlConfiguration(self.config / "config.toml", environment)
        try:
            return config.value(key)
        except NexusError:
            return config.default(key)
