"""Accounts as a part of the kernel: the places of their operations; what is behind them is imported when asked for."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

from nexus.kernel.api.late import Behind, LateOperation
from nexus.kernel.api.operation import Method, Operation
from nexus.kernel.audit.witness import Witness
from nexus.kernel.caller import Access as Permitted
from nexus.kernel.keys import Keys
from nexus.kernel.part import Part
from nexus.kernel.store.store import Store

if TYPE_CHECKING:
    from nexus.kernel.accounts.access import Access
    from nexus.kernel.accounts.behind import AccountOperations
    from nexus.kernel.accounts.signing import Doors

AUTH, USERS, ROLES, KEYS = "/api/auth", "/api/users", "/api/roles", "/api/auth/keys"

OPEN: tuple[tuple[Method, str, str, str, Permitted], ...] = (
    ("POST", f"{AUTH}/login", "settings.auth.login", "Sign in by a password.", "public"),
    ("POST", f"{AUTH}/register", "settings.auth.register", "Open an account.", "public"),
    ("POST", f"{AUTH}/refresh", "settings.auth.login.refresh", "Take a refresh token for the next pair.", "public"),
    ("POST", f"{AUTH}/logout", "settings.auth.logout", "End a sign-in.", "public"),
    ("GET", f"{AUTH}/me", "settings.auth.status", "Tell who asks.", "public"),
    ("POST", f"{AUTH}/devices", "settings.auth.approve", "Approve or deny a device.", "signed-in"),
    ("POST", f"{AUTH}/password", "settings.auth.password", "Change your own password.", "signed-in"),
    ("GET", KEYS, "settings.key.list", "List your API keys.", "signed-in"),
    ("POST", KEYS, "settings.auth.token", "Make an API key.", "signed-in"),
    ("DELETE", f"{KEYS}/{{id}}", "settings.key.delete", "Take an API key away.", "signed-in"),
)
"""What wants no role. `secret` are those that answer with a token."""

SECRET = (
    "settings.auth.login",
    "settings.auth.register",
    "settings.auth.login.refresh",
    "settings.auth.password",
    "settings.auth.token",
)
CREATES = ("settings.auth.register", "settings.auth.token", "settings.user.create", "settings.role.create")

GRANTED: tuple[tuple[Method, str, str, str], ...] = (
    ("GET", USERS, "settings.user.list", "List users."),
    ("POST", USERS, "settings.user.create", "Make a user."),
    ("GET", f"{USERS}/{{id}}", "settings.user.list.view", "View a user, by id or name."),
    ("PATCH", f"{USERS}/{{id}}", "settings.user.update", "Change a user."),
    ("DELETE", f"{USERS}/{{id}}", "settings.user.delete", "Delete a user."),
    ("POST", f"{USERS}/{{id}}/roles", "settings.user.grant", "Give a user a role."),
    ("DELETE", f"{USERS}/{{id}}/roles/{{role}}", "settings.user.revoke", "Take a role from a user."),
    ("GET", ROLES, "settings.role.list", "List roles."),
    ("POST", ROLES, "settings.role.create", "Make a role."),
    ("GET", f"{ROLES}/{{id}}", "settings.role.list.view", "View a role, by id or name."),
    ("PATCH", f"{ROLES}/{{id}}", "settings.role.update", "Change a role."),
    ("DELETE", f"{ROLES}/{{id}}", "settings.role.delete", "Delete a role."),
    ("POST", f"{ROLES}/{{id}}/patterns", "settings.role.grant", "Have a role grant more."),
    ("POST", f"{ROLES}/{{id}}/patterns/revoke", "settings.role.revoke", "Have a role grant less."),
)


class Accounts(Part):
    """Users, roles and what signs in. `access` tells callers of a network, `doors` says who may register."""

    def __init__(self, store: Store, keys: Keys, witness: Witness) -> None:
        self._store = store
        self._keys = keys
        self._witness = witness

    @cached_property
    def access(self) -> "Access":
        from nexus.kernel.accounts.access import Access

        return Access(self._store, self._keys)

    @cached_property
    def doors(self) -> "Doors":
        from nexus.kernel.accounts.signing import Doors

        return Doors()

    @cached_property
    def behind(self) -> "AccountOperations":
        """What answers the operations. argon2 and PyJWT are imported here, and few kernels ever need them."""
        from nexus.kernel.accounts.behind import AccountOperations

        return AccountOperations(self._store, self._keys, self._witness, self.access, self.doors)

    async def wants_setup(self) -> bool:
        """Say whether there is no user yet, whom a set-up token would make."""
        from nexus.kernel.accounts.users import anyone

        return not await self._store.read(anyone)

    def operations(self) -> Sequence[Operation]:
        """Return where accounts are asked."""
        return (
            *(
                LateOperation(
                    *(method, path, name, summary, self._load),
                    status=201 if name in CREATES else 200,
                    access=access,
                    secret=name in SECRET,
                    audited=name in ("settings.auth.token", "settings.key.delete", "settings.auth.approve"),
                    body_required=name != "settings.auth.logout",
                )
                for method, path, name, summary, access in OPEN
            ),
            *(
                LateOperation(method, path, name, summary, self._load, status=201 if name in CREATES else 200)
                for method, path, name, summary in GRANTED
            ),
        )

    def routes(self) -> Sequence[BaseRoute]:
        """Return the places of the device flow, whose forms RFC 8628 says."""
        from nexus.kernel.accounts.oauth import oauth_routes

        return oauth_routes(lambda: self.behind.signing)

    def _load(self, operation_id: str) -> Behind:
        return self.behind.of(operation_id)
