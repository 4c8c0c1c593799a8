"""What stands behind the operations on accounts: handlers and models, by the operation's id."""

from nexus.kernel.accounts.access import Access
from nexus.kernel.accounts.managing import Managing
from nexus.kernel.accounts.signing import Doors, Signing
from nexus.kernel.api.late import Behind
from nexus.kernel.audit.witness import Witness
from nexus.kernel.keys import Keys
from nexus.kernel.store.store import Store
from nexus.schemas.account import (
    ApiKey,
    ApiKeyMade,
    DeviceApproval,
    DeviceApproved,
    GrantedRole,
    GrantedUser,
    Identity,
    Login,
    NewApiKey,
    NewRole,
    NewUser,
    PasswordChange,
    PatternGrant,
    Refresh,
    Registration,
    Role,
    RoleChanges,
    RoleGrant,
    RoleQuery,
    SignedOut,
    SignOut,
    Tokens,
    User,
    UserChanges,
    UserQuery,
)
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page, PageQuery


class AccountOperations:
    """Every operation on accounts."""

    def __init__(self, store: Store, keys: Keys, witness: Witness, access: Access, doors: Doors) -> None:
        self.signing = signing = Signing(store, keys, witness, access, doors)
        managing = Managing(store, access, signing.passwords)
        self._behind = {
            "settings.auth.login": Behind(signing.login, Tokens, body=Login),
            "settings.auth.register": Behind(signing.register, Tokens, body=Registration),
            "settings.auth.login.refresh": Behind(signing.refresh, Tokens, body=Refresh),
            "settings.auth.logout": Behind(signing.logout, SignedOut, body=SignOut),
            "settings.auth.status": Behind(signing.me, Identity),
            "settings.auth.approve": Behind(signing.approve, DeviceApproved, body=DeviceApproval),
            "settings.auth.password": Behind(signing.change_password, Tokens, body=PasswordChange),
            "settings.auth.token": Behind(managing.create_key, ApiKeyMade, body=NewApiKey),
            "settings.key.list": Behind(managing.list_keys, Page[ApiKey], query=PageQuery),
            "settings.key.delete": Behind(managing.delete_key, Deleted),
            "settings.user.list": Behind(managing.list_users, Page[User], query=UserQuery),
            "settings.user.create": Behind(managing.create_user, User, body=NewUser),
            "settings.user.list.view": Behind(managing.view_user, User),
            "settings.user.update": Behind(managing.update_user, User, body=UserChanges),
            "settings.user.delete": Behind(managing.delete_user, Deleted),
            "settings.user.grant": Behind(managing.grant_role, GrantedUser, body=RoleGrant),
            "settings.user.revoke": Behind(managing.revoke_role, User),
            "settings.role.list": Behind(managing.list_roles, Page[Role], query=RoleQuery),
            "settings.role.create": Behind(managing.create_role, Role, body=NewRole),
            "settings.role.list.view": Behind(managing.view_role, Role),
            "settings.role.update": Behind(managing.update_role, Role, body=RoleChanges),
            "settings.role.delete": Behind(managing.delete_role, Deleted),
            "settings.role.grant": Behind(managing.grant_patterns, GrantedRole, body=PatternGrant),
            "settings.role.revoke": Behind(managing.revoke_patterns, GrantedRole, body=PatternGrant),
        }

    def of(self, operation_id: str) -> Behind:
        """Return what stands behind an operation."""
        return self._behind[operation_id]
