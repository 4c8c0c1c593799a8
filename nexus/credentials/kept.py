"""What one server gave: an access token with its end and a refresh token, or an API key."""

import time

from nexus.schemas.account import Tokens
from nexus.schemas.model import Model

SOON_SECONDS = 30.0
"""A token that ends so soon is refreshed before it is used."""


class Credentials(Model):
    """`expires_at` is seconds since 1970 by this machine's clock; None is an API key, which is good until revoked."""

    server: str
    user: str
    access_token: str
    refresh_token: str | None = None
    expires_at: float | None = None

    @classmethod
    def of(cls, server: str, tokens: Tokens) -> "Credentials":
        """Return what a sign-in gave."""
        return cls(
            server=server,
            user=tokens.user,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_at=time.time() + tokens.expires_in,
        )

    @property
    def is_old(self) -> bool:
        """Whether the access token is to be refreshed before it is used."""
        return self.expires_at is not None and self.expires_at < time.time() + SOON_SECONDS
