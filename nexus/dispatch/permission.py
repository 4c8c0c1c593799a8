"""Whether the caller may run a command at all. The kernel decides on every operation; this is for a better message."""

from typing import Protocol

from nexus.schemas.command import CommandSpec
from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import AuthError

_LOCAL = frozenset({"help", "schema", "version", "serve", "doctor", "skill", "completion", "mcp"})
"""What never leaves this machine, or says by itself what a server answers."""

_OWN = frozenset(
    {"auth", "profile", "config", "context", "theme", "workspace", "category", "option", "alias", "plugin"}
)
"""A user's own settings, and what signs in."""


class Reached(Protocol):
    """The server that a command speaks to, None for the local kernel; and whether there is something to sign in by."""

    @property
    def server(self) -> str | None: ...

    @property
    def signed_in(self) -> bool: ...

    def sign_in_line(self, server: str) -> str: ...


def stays_here(spec: CommandSpec) -> bool:
    """Say whether a command does its work whatever the way to its server is like."""
    return spec.path[0] in _LOCAL or (spec.path[0] == "settings" and spec.path[1] in _OWN)


def check_permission(spec: CommandSpec, reached: Reached) -> None:
    """Return when the command may be tried. The local kernel serves its socket's owner, so all of it is permitted.

    Raises `AuthError` for a server that nobody signed in to.
    """
    if stays_here(spec):
        return
    server = reached.server
    if server is not None and not reached.signed_in:
        raise AuthError(server=server)


def told_where(entries: list[ErrorEntry], reached: Reached) -> list[ErrorEntry]:
    """Return the errors with each hint to sign in naming the server that wants it: so it works when it is followed."""
    for entry in entries:
        if entry.type == AuthError.type and entry.details.get("hint") == AuthError.hint:
            server = reached.server
            entry.details["hint"] = AuthError.hint if server is None else reached.sign_in_line(server)
    return entries
