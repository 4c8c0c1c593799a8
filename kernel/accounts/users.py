"""Users and what they may do: rows found, made, changed, and never beyond what who asks may do."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from nexus.kernel.accounts.families import end_all
from nexus.kernel.caller import Caller
from nexus.kernel.store.account_tables import api_keys, role_grants, roles, users
from nexus.kernel.store.lookup import find, refuse_taken, values_of
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.schemas.account import User
from nexus.schemas.errors import Conflict, NotFound, PermissionDenied

ADMIN = "admin"


def told(connection: Connection, row: Row[Any]) -> User:
    """Return a user as it is told."""
    values = values_of(row)
    return User.model_validate(
        {**values, "roles": [role.name for role in roles_of(connection, row.id)], "has_password": bool(row.password)}
    )


def by_id_or_name(connection: Connection, reference: str) -> Row[Any]:
    """Return a user's row. Raises `NotFound`."""
    row = connection.execute(select(users).where(users.c.id == reference)).one_or_none()
    if row is None:
        row = connection.execute(select(users).where(users.c.name_key == name_key(reference))).one_or_none()
    if row is None:
        raise NotFound(resource="user", reference=reference[:200], hint="nexus settings user list")
    return row


def roles_of(connection: Connection, user_id: str) -> Sequence[Row[Any]]:
    """Return the rows of a user's roles, by name."""
    query = (
        select(roles)
        .join(role_grants, role_grants.c.role_id == roles.c.id)
        .where(role_grants.c.user_id == user_id)
        .order_by(roles.c.name_key)
    )
    return connection.execute(query).all()


def patterns_of(granted: Iterable[Row[Any]]) -> tuple[str, ...]:
    """Return all that roles grant."""
    return tuple(sorted({pattern for role in granted for pattern in role.patterns}))


def role_by_name(connection: Connection, name: str) -> Row[Any]:
    """Return a role's row. Raises `NotFound`."""
    row = connection.execute(select(roles).where(roles.c.name_key == name_key(name))).one_or_none()
    if row is None:
        raise NotFound(resource="role", reference=name, hint="nexus settings role list")
    return row


def refuse_more(caller: Caller, patterns: Iterable[str], what: str) -> None:
    """Raise `PermissionDenied` for a pattern that is more than the caller may do: nobody makes another greater."""
    for pattern in patterns:
        if not caller.covers(pattern):
            raise PermissionDenied.because(
                f"{what} grants {pattern}, which is more than you may do yourself.",
                hint="nexus settings auth status",
                pattern=pattern,
            )


def refuse_greater(connection: Connection, caller: Caller, user: Row[Any]) -> None:
    """Raise `PermissionDenied` when the user may do what the caller may not: to change one is to be able to be one."""
    if user.id != caller.user_id:
        refuse_more(caller, patterns_of(roles_of(connection, user.id)), user.name)


def make(connection: Connection, name: str, password: str | None) -> Row[Any]:
    """Add a user, who may do nothing yet. Raises `Conflict` when the name is taken."""
    refuse_taken(connection, users, name, namespace="settings")
    moment = now()
    user_id = new_id("usr")
    connection.execute(
        insert(users).values(
            id=user_id,
            name=name,
            name_key=name_key(name),
            password=password,
            created_at=moment,
            updated_at=moment,
        )
    )
    return find(connection, users, user_id, namespace="settings")


def grant(connection: Connection, user_id: str, role: Row[Any]) -> bool:
    """Give a user a role; say whether it is new to them."""
    held = select(role_grants).where(role_grants.c.user_id == user_id, role_grants.c.role_id == role.id)
    if connection.execute(held).first() is not None:
        return False
    connection.execute(insert(role_grants).values(user_id=user_id, role_id=role.id, created_at=now()))
    return True


def revoke(connection: Connection, user: Row[Any], role: Row[Any]) -> None:
    """Take a role from a user. Raises `NotFound` when the user has it not, `Conflict` for the last admin's."""
    if role.name == ADMIN:
        refuse_last_admin(connection, user.id)
    gone = delete(role_grants).where(role_grants.c.user_id == user.id, role_grants.c.role_id == role.id)
    if not connection.execute(gone).rowcount:
        raise NotFound(resource="role of that user", reference=role.name, hint="nexus settings user list")


def refuse_last_admin(connection: Connection, user_id: str) -> None:
    """Raise `Conflict` when the user is the one admin who can sign in: nobody could mend it from outside."""
    admins = (
        select(users.c.id)
        .join(role_grants, role_grants.c.user_id == users.c.id)
        .join(roles, roles.c.id == role_grants.c.role_id)
        .where(roles.c.name == ADMIN, users.c.disabled.is_(False))
    )
    if [row.id for row in connection.execute(admins)] == [user_id]:
        raise Conflict.because(
            "That is the last admin.", hint="nexus settings user list", field="user", user_id=user_id
        )


def change(connection: Connection, user: Row[Any], values: dict[str, Any]) -> None:
    """Change a user. Raises `Conflict` for a name that is taken, and for the last admin's end."""
    if values.get("disabled"):
        refuse_last_admin(connection, user.id)
    if "name" in values:
        refuse_taken(connection, users, values["name"], but=user.id, namespace="settings")
        values["name_key"] = name_key(values["name"])
    if "password" in values or "disabled" in values:
        # Whoever was signed in by the old password is signed out.
        values["generation"] = user.generation + 1
        end_all(connection, user.id)
    connection.execute(update(users).where(users.c.id == user.id).values(**values, updated_at=now()))


def remove(connection: Connection, user: Row[Any]) -> dict[str, int]:
    """Delete a user with all that signs them in; return what went, by kind."""
    refuse_last_admin(connection, user.id)
    count = select(func.count()).select_from(api_keys).where(api_keys.c.user_id == user.id)
    keys = int(connection.execute(count).scalar_one())
    ended = end_all(connection, user.id)
    connection.execute(delete(users).where(users.c.id == user.id))
    return {"keys": keys, "signIns": ended}


def anyone(connection: Connection) -> bool:
    """Say whether there is any user."""
    return connection.execute(select(users.c.id).limit(1)).first() is not None
