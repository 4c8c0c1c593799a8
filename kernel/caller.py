"""Who a request comes from, and what it may do: decided on the operation itself, and denied unless it is granted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from nexus.schemas.errors import AuthError, PermissionDenied

if TYPE_CHECKING:
    from nexus.schemas.account import Identity

SCOPE_KEY = "nexus.caller"
ANEW_KEY = "nexus.caller.anew"
"""Under which a face leaves in the scope what reads a connection's caller anew: a WebSocket outlives a role."""

OPERATION_KEY = "nexus.operation"
"""Under which the scope tells, behind the fact, which operation was asked for."""

COMMAND_WORDS = 3
"""An operation's id is its command's path; where one command has several operations, a further word follows."""

Access = Literal["granted", "signed-in", "public"]
"""Who may ask for an operation: whoever has a role that grants it, whoever has an account, anyone."""


def matches(pattern: str, operation_id: str) -> bool:
    """Say whether a command pattern grants an operation.

    `agent.project.list` grants that command's operations, `*` stands for one word, and at the end for all that follow.
    """
    wanted, words = pattern.split("."), operation_id.split(".")
    if wanted[-1] == "*":
        wanted = wanted[:-1]
        if len(words) <= len(wanted):
            return False
    elif len(words[:COMMAND_WORDS]) != len(wanted):
        return False
    return all(each in ("*", word) for each, word in zip(wanted, words, strict=False))


def covers(granted: Iterable[str], pattern: str) -> bool:
    """Say whether all that a pattern grants is granted already."""
    return any(_covers(each.split("."), pattern.split(".")) for each in granted)


def _covers(wide: list[str], narrow: list[str]) -> bool:
    if wide[-1] == "*":
        head = wide[:-1]
        return len(narrow) > len(head) and all(a in ("*", b) for a, b in zip(head, narrow, strict=False))
    if narrow[-1] == "*" or len(wide) != len(narrow):
        return False
    return all(a in ("*", b) for a, b in zip(wide, narrow, strict=True))


@dataclass(frozen=True, slots=True)
class Caller:
    """One who asks. `scopes` bound what the roles' `patterns` grant; None does not bound it.

    `family` is the sign-in that the access token came from, `address` where the connection comes from.
    """

    name: str
    signed_in_by: Literal["socket", "token", "key", "none"]
    patterns: tuple[str, ...] = ()
    user_id: str | None = None
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None
    family: str | None = None
    address: str | None = None

    def may(self, operation_id: str) -> bool:
        """Say whether an operation is granted."""
        return self.granted(operation_id) and (
            self.scopes is None or any(matches(scope, operation_id) for scope in self.scopes)
        )

    def granted(self, operation_id: str) -> bool:
        """Say whether a role grants an operation, whatever the scopes leave out of it."""
        return any(matches(pattern, operation_id) for pattern in self.patterns)

    def covers(self, pattern: str) -> bool:
        """Say whether all that a pattern grants is granted to this caller."""
        return covers(self.patterns, pattern) and (self.scopes is None or covers(self.scopes, pattern))

    def identity(self) -> "Identity":
        """Return who this is, as it is told."""
        from nexus.schemas.account import Identity  # a kernel that serves its owner alone is never asked

        return Identity(
            name=self.name,
            user_id=self.user_id,
            signed_in_by=self.signed_in_by,
            roles=list(self.roles),
            patterns=list(self.patterns),
            scopes=None if self.scopes is None else list(self.scopes),
        )


OWNER = Caller("owner", "socket", ("*",))
"""Who reaches the socket of the owner, or lives in the kernel's own process: the user that it runs as."""

ANONYMOUS = Caller("anonymous", "none")


def caller_of(scope: Scope) -> Caller:
    """Return who a request comes from. Raises `AuthError` when no face has said so: then nothing is permitted."""
    caller = scope.get(SCOPE_KEY)
    if not isinstance(caller, Caller):
        raise AuthError(server="The kernel")
    return caller


def require(caller: Caller, *operation_ids: str, access: Access = "granted") -> None:
    """Return when one of the operations is permitted. Raises `AuthError`, `PermissionDenied`."""
    if access == "public" or any(caller.may(each) for each in operation_ids):
        return
    if caller.signed_in_by == "none":
        raise AuthError(server="This server")
    if access == "signed-in":
        return
    command = " ".join(operation_ids[0].split(".")[:COMMAND_WORDS])
    bounded = any(caller.granted(each) for each in operation_ids)
    reason = "the key's scopes leave it out" if bounded else "no role grants it"
    raise PermissionDenied.because(
        f"{caller.name} may not run '{command}' here: {reason}.",
        hint="nexus settings auth status",
        operation=operation_ids[0],
        user=caller.name,
        roles=list(caller.roles),
    )


SHELL = "agent.terminal.open"
"""Who is granted this has a shell of the machine: all that the server's user can read, write and run is theirs."""


def require_shell(caller: Caller, named: str) -> None:
    """Return when the caller may name `named`, a folder, file or program of the machine. Raises `PermissionDenied`.

    Whoever could have any folder for a project's reads the kernel's own secret, and signs tokens with it.
    """
    if not caller.may(SHELL):
        raise PermissionDenied.because(
            f"{caller.name} may not name {named} of the server's machine: no role grants 'agent terminal open' there.",
            hint="nexus settings auth status",
            operation=SHELL,
            user=caller.name,
            roles=list(caller.roles),
        )


class OwnersFace:
    """The app as the owner reaches it: in process, and by a socket that nobody else can open."""

    def __init__(self, app: ASGIApp, routes: list[Any]) -> None:
        self.app = app
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[SCOPE_KEY] = OWNER
        await self.app(scope, receive, send)


class OwnersOnly:
    """An app that lets nobody in but the owner: what stands around a route that does not check by itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if caller_of(scope).signed_in_by != "socket":
            raise PermissionDenied.because("This is for the kernel's owner alone.")
        await self.app(scope, receive, send)


def checks_callers(route: Any) -> Any:
    """Say of a route that its app asks `caller_of` itself; any other is the owner's alone."""
    route.checks_callers = True
    return route
