"""Profiles: servers by name, and what signs in to them from this machine."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, Protocol

from nexus.schemas.model import Model

if TYPE_CHECKING:
    from nexus.schemas.account import Tokens

CredentialPlace = Literal["keyring", "file"]


class Profile(Model):
    """A server by name. `credentials` says where what signs in to it is kept; null is signed out."""

    name: str
    server: str | None = None
    user: str | None = None
    credentials: CredentialPlace | None = None
    current: bool = False


class SignIns(Protocol):
    """What this machine signs in by, and the profiles that it is kept for."""

    @property
    def current(self) -> str: ...

    @property
    def from_environment(self) -> bool:
        """Whether NEXUS_TOKEN signs this command in, in the place of what is kept."""
        ...

    def list(self) -> list[Profile]: ...

    def get(self, name: str) -> Profile: ...

    async def create(self, name: str, server: str) -> Profile: ...

    async def use(self, name: str) -> Profile: ...

    async def delete(self, name: str) -> None:
        """Forget a profile, and what signs in to it."""
        ...

    async def keep(self, server: str, tokens: "Tokens") -> Profile:
        """Keep what a server gave, for the profile that is named, or one that is made for the server; use it."""
        ...

    async def keep_key(self, server: str, key: str) -> Profile:
        """Keep an API key in the same way, once the server takes it. Raises `AuthInvalid`."""
        ...

    async def take(self, name: str) -> tuple[str | None, bool]:
        """Take what is kept away; return the refresh token, and whether there was anything."""
        ...

    async def device(self, server: str, show: Callable[[str, str], Awaitable[None]]) -> "Tokens":
        """Sign in as a device: `show` is given the address and the code. Raises `AuthInvalid` when it is denied."""
        ...
