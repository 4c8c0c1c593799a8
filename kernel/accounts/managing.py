"""Users, roles and API keys: listed, made, changed and taken away by those who may."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from nexus.kernel.accounts import api_keys, users
from nexus.kernel.accounts.access import Access
from nexus.kernel.accounts.passwords import Passwords
from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.caller import Caller
from nexus.kernel.store.account_tables import api_keys as key_table
from nexus.kernel.store.account_tables import role_grants, roles
from nexus.kernel.store.account_tables import users as user_table
from nexus.kernel.store.lookup import changed_values, refuse_taken, values_of
from nexus.kernel.store.paging import Listing, contains
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.kernel.store.store import Store
from nexus.schemas.account import (
    ApiKey,
    ApiKeyMade,
    GrantedRole,
    GrantedUser,
    NewApiKey,
    NewRole,
    NewUser,
    PatternGrant,
    Role,
    RoleChanges,
    RoleGrant,
    RoleQuery,
    User,
    UserChanges,
    UserQuery,
)
from nexus.schemas.errors import AuthInvalid, Conflict
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page, PageQuery

ChangedRole = TypeVar("ChangedRole", bound=Role)

_SORTS = {"createdAt": "created_at", "updatedAt": "updated_at"}


def _times(table: Any) -> dict[str, Any]:
    return {name: table.c[column] for name, column in _SORTS.items() if column in table.c}


class Managing:
    """The operations on users, roles and keys."""

    def __init__(self, store: Store, access: Access, passwords: Passwords) -> None:
        self._store = store
        self._access = access
        self._passwords = passwords

    async def _changed(self, request: ApiRequest[Any, Any], work: Callable[[Connection], Any]) -> Any:
        result = await request.write(work)
        self._access.forget()
        return result

    # Users.

    async def list_users(self, request: ApiRequest[UserQuery, None]) -> Page[User]:
        query = request.query
        wanted = select(user_table)
        if query.name is not None:
            wanted = wanted.where(user_table.c.name_key == name_key(query.name))
        if query.filter:
            wanted = wanted.where(contains((user_table.c.name,), query.filter))

        def work(connection: Connection) -> Page[User]:
            listing = Listing(
                sorts={"name": user_table.c.name_key, **_times(user_table)},
                order="name",
                id=user_table.c.id,
                item=lambda row: users.told(connection, row),
            )
            return listing.page(connection, wanted, query)

        return await self._store.read(work)

    async def create_user(self, request: ApiRequest[None, NewUser]) -> User:
        new = request.body
        password = await self._passwords.hash(new.password) if new.password is not None else None

        def work(connection: Connection) -> User:
            user = users.make(connection, new.name, password)
            for name in new.roles:
                self._grant(connection, request.caller, user, name)
            return users.told(connection, user)

        created: User = await self._changed(request, work)
        return created

    async def view_user(self, request: ApiRequest[None, None]) -> User:
        reference = request.path["id"]
        return await self._store.read(
            lambda connection: users.told(connection, users.by_id_or_name(connection, reference))
        )

    async def update_user(self, request: ApiRequest[None, UserChanges]) -> User:
        values = changed_values(request.body, ("name", "password", "disabled"))
        if "password" in values:
            values["password"] = await self._passwords.hash(values["password"])

        def work(connection: Connection) -> User:
            user = users.by_id_or_name(connection, request.path["id"])
            users.refuse_greater(connection, request.caller, user)
            if values:
                users.change(connection, user, values)
            return users.told(connection, users.by_id_or_name(connection, user.id))

        updated: User = await self._changed(request, work)
        return updated

    async def delete_user(self, request: ApiRequest[None, None]) -> Deleted:
        def work(connection: Connection) -> Deleted:
            user = users.by_id_or_name(connection, request.path["id"])
            users.refuse_greater(connection, request.caller, user)
            return Deleted(id=user.id, cascade=users.remove(connection, user))

        gone: Deleted = await self._changed(request, work)
        return gone

    async def grant_role(self, request: ApiRequest[None, RoleGrant]) -> GrantedUser:
        def work(connection: Connection) -> GrantedUser:
            user = users.by_id_or_name(connection, request.path["id"])
            is_new = self._grant(connection, request.caller, user, request.body.role)
            return GrantedUser(**dict(users.told(connection, user)), changed=["roles"] if is_new else [])

        granted: GrantedUser = await self._changed(request, work)
        return granted

    async def revoke_role(self, request: ApiRequest[None, None]) -> User:
        def work(connection: Connection) -> User:
            user = users.by_id_or_name(connection, request.path["id"])
            role = users.role_by_name(connection, request.path["role"])
            users.refuse_more(request.caller, role.patterns, f"The role {role.name}")
            users.revoke(connection, user, role)
            return users.told(connection, user)

        revoked: User = await self._changed(request, work)
        return revoked

    def _grant(self, connection: Connection, caller: Caller, user: Row[Any], name: str) -> bool:
        role = users.role_by_name(connection, name)
        users.refuse_more(caller, role.patterns, f"The role {role.name}")
        return users.grant(connection, user.id, role)

    # Roles.

    async def list_roles(self, request: ApiRequest[RoleQuery, None]) -> Page[Role]:
        query = request.query
        wanted = select(roles)
        if query.name is not None:
            wanted = wanted.where(roles.c.name_key == name_key(query.name))
        if query.filter:
            wanted = wanted.where(contains((roles.c.name, roles.c.description), query.filter))

        def work(connection: Connection) -> Page[Role]:
            listing = Listing(
                sorts={"name": roles.c.name_key, **_times(roles)},
                order="name",
                id=roles.c.id,
                item=lambda row: _role(connection, row),
            )
            return listing.page(connection, wanted, query)

        return await self._store.read(work)

    async def create_role(self, request: ApiRequest[None, NewRole]) -> Role:
        new = request.body
        moment = now()
        values = {
            **new.model_dump(by_alias=False),
            "id": new_id("rol"),
            "name_key": name_key(new.name),
            "created_at": moment,
            "updated_at": moment,
        }

        def work(connection: Connection) -> Role:
            users.refuse_more(request.caller, new.patterns, f"The role {new.name}")
            refuse_taken(connection, roles, new.name, namespace="settings")
            connection.execute(insert(roles).values(values))
            return _role(connection, _found(connection, values["id"]))

        created: Role = await self._changed(request, work)
        return created

    async def view_role(self, request: ApiRequest[None, None]) -> Role:
        reference = request.path["id"]
        return await self._store.read(lambda connection: _role(connection, _found(connection, reference)))

    async def update_role(self, request: ApiRequest[None, RoleChanges]) -> Role:
        values = changed_values(request.body, ("name", "patterns"))
        return await self._change_role(request, lambda _role: values, lambda _before, after: after)

    async def grant_patterns(self, request: ApiRequest[None, PatternGrant]) -> GrantedRole:
        added = request.body.patterns
        return await self._change_role(request, lambda role: {"patterns": sorted({*role.patterns, *added})}, _granted)

    async def revoke_patterns(self, request: ApiRequest[None, PatternGrant]) -> GrantedRole:
        gone = set(request.body.patterns)
        return await self._change_role(
            request, lambda role: {"patterns": [pattern for pattern in role.patterns if pattern not in gone]}, _granted
        )

    async def _change_role(
        self,
        request: ApiRequest[None, Any],
        values_for: Callable[[Row[Any]], dict[str, Any]],
        answer: Callable[[Row[Any], Role], ChangedRole],
    ) -> ChangedRole:
        def work(connection: Connection) -> ChangedRole:
            role = _changeable(connection, request.path["id"])
            values = dict(values_for(role))
            # What it grants already counts too: a greater role is not taken away from by who could not give it.
            users.refuse_more(request.caller, {*role.patterns, *values.get("patterns", ())}, f"The role {role.name}")
            if "name" in values:
                refuse_taken(connection, roles, values["name"], but=role.id, namespace="settings")
                values["name_key"] = name_key(values["name"])
            connection.execute(update(roles).where(roles.c.id == role.id).values(**values, updated_at=now()))
            return answer(role, _role(connection, _found(connection, role.id)))

        changed: ChangedRole = await self._changed(request, work)
        return changed

    async def delete_role(self, request: ApiRequest[None, None]) -> Deleted:
        def work(connection: Connection) -> Deleted:
            role = _changeable(connection, request.path["id"])
            users.refuse_more(request.caller, role.patterns, f"The role {role.name}")
            told = _role(connection, role)
            connection.execute(delete(roles).where(roles.c.id == role.id))
            return Deleted(id=role.id, cascade={"grants": told.users})

        gone: Deleted = await self._changed(request, work)
        return gone

    # API keys.

    async def list_keys(self, request: ApiRequest[PageQuery, None]) -> Page[ApiKey]:
        """Return the caller's own keys; the owner of the kernel sees all."""
        wanted = api_keys.listed()
        if request.caller.user_id is not None:
            wanted = wanted.where(key_table.c.user_id == request.caller.user_id)
        if request.query.filter:
            wanted = wanted.where(contains((key_table.c.name,), request.query.filter))
        listing = Listing(
            sorts={"name": key_table.c.name, "createdAt": key_table.c.created_at},
            order="createdAt",
            id=key_table.c.id,
            item=api_keys.of_row,
        )
        return await self._store.read(lambda connection: listing.page(connection, wanted, request.query))

    async def create_key(self, request: ApiRequest[None, NewApiKey]) -> ApiKeyMade:
        """Make a key of the caller's own. Raises `AuthInvalid` for the owner of the socket, who is no user."""
        caller = request.caller
        if caller.user_id is None:
            raise AuthInvalid.because("A key belongs to a user: sign in to the server that it is for.")
        user_id = caller.user_id

        def work(connection: Connection) -> ApiKeyMade:
            return api_keys.make(connection, caller, users.by_id_or_name(connection, user_id), request.body)

        made: ApiKeyMade = await self._changed(request, work)
        return made

    async def delete_key(self, request: ApiRequest[None, None]) -> Deleted:
        identity, user_id = request.path["id"], request.caller.user_id

        def work(connection: Connection) -> Deleted:
            api_keys.revoke(connection, identity, user_id=user_id)
            return Deleted(id=identity)

        gone: Deleted = await self._changed(request, work)
        return gone


def _found(connection: Connection, reference: str) -> Row[Any]:
    row = connection.execute(select(roles).where(roles.c.id == reference)).one_or_none()
    return row if row is not None else users.role_by_name(connection, reference)


def _changeable(connection: Connection, reference: str) -> Row[Any]:
    role = _found(connection, reference)
    if role.built_in:
        raise Conflict.because(f"The role {role.name} is built in, and as it is.", hint="nexus settings role list")
    return role


def _granted(before: Row[Any], after: Role) -> GrantedRole:
    return GrantedRole(**dict(after), changed=[] if after.patterns == before.patterns else ["patterns"])


def _role(connection: Connection, row: Row[Any]) -> Role:
    held = select(func.count()).select_from(role_grants).where(role_grants.c.role_id == row.id)
    return Role.model_validate({**values_of(row), "users": int(connection.execute(held).scalar_one())})
