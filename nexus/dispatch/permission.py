"""Whether the caller may run a command at all. The kernel decides on every operation; this is for a better message."""

from nexus.schemas.command import CommandSpec
from nexus.schemas.errors import AuthError

_LOCAL = frozenset({"help", "schema", "version", "settings"})
"""What never leaves this machine: the built-ins, and a user's own settings."""


def check_permission(spec: CommandSpec, server: str | None, token: str | None) -> None:
    """Return when the command may be tried. The local kernel serves its socket's owner, so all of it is permitted.

    Raises `AuthError` for a server that nobody signed in to.
    """
    if server is not None and token is None and spec.path[0] not in _LOCAL:
        raise AuthError(server=server, hint="Set NEXUS_TOKEN to a token of the server, then run the command again.")
