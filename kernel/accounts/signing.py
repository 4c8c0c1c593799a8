"""Signing in and out: what gives tokens, and what takes them away."""

import asyncio
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from nexus.kernel.accounts import devices, families, tokens, users
from nexus.kernel.accounts.access import Access
from nexus.kernel.accounts.passwords import Passwords
from nexus.kernel.accounts.throttle import Throttle
from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.audit.witness import Witness
from nexus.kernel.caller import Caller
from nexus.kernel.keys import Keys
from nexus.kernel.store.account_tables import users as user_table
from nexus.kernel.store.rows import name_key
from nexus.kernel.store.store import Store
from nexus.schemas.account import (
    DeviceApproval,
    DeviceApproved,
    Identity,
    Login,
    PasswordChange,
    Refresh,
    Registration,
    SignedOut,
    SignOut,
    Tokens,
)
from nexus.schemas.errors import AuthInvalid, PermissionDenied, RegistrationClosed

ACCESS_SECONDS = 600


@dataclass(slots=True)
class Doors:
    """Who may open an account by themselves: anyone where it is `open`, and the bearer of the `setup_token` once."""

    open: bool = False
    setup_token: str | None = None


class Signing:
    """The operations that sign in and out."""

    def __init__(self, store: Store, keys: Keys, witness: Witness, access: Access, doors: Doors) -> None:
        self._store = store
        self._keys = keys
        self._witness = witness
        self._access = access
        self._doors = doors
        self._passwords = Passwords()
        self._throttle = Throttle()
        self._registering = asyncio.Lock()

    @property
    def passwords(self) -> Passwords:
        """What hashes and compares."""
        return self._passwords

    async def login(self, request: ApiRequest[None, Login]) -> Tokens:
        """Sign in by a password. Raises `AuthInvalid`, which does not say of what, and `RateLimited`."""
        user, better = await self._checked(request.caller, request.body.name, request.body.password)

        def work(connection: Connection) -> Tokens:
            if better is not None:
                connection.execute(update(user_table).where(user_table.c.id == user.id).values(password=better))
            self._tell(connection, request.caller, user, "settings.auth.login")
            return self._signed_in(connection, user)

        return await self._store.write(work)

    async def _checked(self, caller: Caller, name: str, password: str) -> tuple[Row[Any], str | None]:
        """Return the user whose password it is, and a better hash of it where the kept one is of yesterday."""
        places = (f"name {name_key(name)}", f"address {caller.address}")
        self._throttle.check(*places)
        query = select(user_table).where(user_table.c.name_key == name_key(name))
        user = await self._store.read(lambda connection: connection.execute(query).one_or_none())
        checked = await self._passwords.check(password, user.password if user is not None else None)
        if user is None or not checked.right or user.disabled:
            self._throttle.wrong(*places)
            told = {"request": "password", "code": AuthInvalid.code, "name": name}
            await self._witness.write(caller, "settings.auth.login", "denied", **told)
            raise AuthInvalid.because("The name or the password is not right.")
        self._throttle.right(*places)
        return user, checked.better

    async def register(self, request: ApiRequest[None, Registration]) -> Tokens:
        """Open an account and sign in. Raises `RegistrationClosed`, `AuthInvalid` for a wrong set-up token."""
        given = request.body
        async with self._registering:
            first = self._is_first(given.setup_token, request.caller)
            if not first and not self._doors.open:
                raise RegistrationClosed
            password = await self._passwords.hash(given.password)

            def work(connection: Connection) -> Tokens:
                if first and users.anyone(connection):
                    raise RegistrationClosed.because("The set-up token was used already.")
                user = users.make(connection, given.name, password)
                if first:
                    users.grant(connection, user.id, users.role_by_name(connection, users.ADMIN))
                self._tell(connection, request.caller, user, "settings.auth.register")
                return self._signed_in(connection, user)

            made = await self._store.write(work)
            if first:
                self._doors.setup_token = None
            return made

    def _is_first(self, given: str | None, caller: Caller) -> bool:
        if given is None:
            return False
        place = f"address {caller.address}"
        self._throttle.check(place)
        if self._doors.setup_token is None or not hmac.compare_digest(given.encode(), self._doors.setup_token.encode()):
            self._throttle.wrong(place)
            raise AuthInvalid.because("The set-up token is not right, or was used already.")
        return True

    async def refresh(self, request: ApiRequest[None, Refresh]) -> Tokens:
        """Take a refresh token for the next pair. Raises `AuthInvalid`; a used one ends the sign-in."""
        return await self.refreshed(request.caller, request.body.refresh_token)

    async def refreshed(self, caller: Caller, token: str) -> Tokens:
        """Return the next pair. Raises `AuthInvalid`."""

        def work(connection: Connection) -> Tokens | families.Replayed:
            rotated = families.rotate(connection, token)
            if isinstance(rotated, families.Replayed):
                told = {"code": "REFRESH_TOKEN_REPLAYED"}
                self._tell(connection, caller, rotated.user, "settings.auth.refresh", "denied", **told)
                return rotated
            return self._pair(rotated.user, rotated.family, rotated.token)

        done = await self._store.write(work)
        if isinstance(done, families.Replayed):
            self._access.forget()
            raise AuthInvalid.because("The refresh token was used before: this sign-in is ended for safety.")
        return done

    async def logout(self, request: ApiRequest[None, SignOut]) -> SignedOut:
        """End a sign-in: the one of the refresh token, else the one that the request came by."""
        given = request.body.refresh_token
        family = families.family_of(given) if given is not None else request.caller.family
        if family is None:
            return SignedOut(ended=0)

        def work(connection: Connection) -> SignedOut:
            if given is not None:
                # Whoever knows a token of the family may end it; a name of a family alone ends nothing.
                families.rotate(connection, given)
            return SignedOut(ended=families.end(connection, family))

        done = await request.write(work)
        self._access.forget()
        return done

    async def change_password(self, request: ApiRequest[None, PasswordChange]) -> Tokens:
        """Change the password of who asks, end all that it signed in, and sign in anew.

        Raises `AuthInvalid` for a current password that is not, `PermissionDenied` for a key and for the owner's
        socket, and `RateLimited`.
        """
        caller = request.caller
        if caller.user_id is None or caller.signed_in_by != "token":
            raise PermissionDenied.because("A password is changed by a person who signed in.")
        user, _ = await self._checked(caller, caller.name, request.body.current)
        password = await self._passwords.hash(request.body.password)

        def work(connection: Connection) -> Tokens:
            users.change(connection, user, {"password": password})
            self._tell(connection, caller, user, "settings.auth.password")
            return self._signed_in(connection, users.by_id_or_name(connection, user.id))

        done = await self._store.write(work)
        self._access.forget()
        return done

    async def me(self, request: ApiRequest[None, None]) -> Identity:
        """Return who asks."""
        return request.caller.identity()

    # The device flow; its routes are in `oauth`.

    async def begin_device(self, client: str) -> devices.Codes:
        """Begin for a device."""
        return await self._store.write(lambda connection: devices.begin(connection, client))

    async def poll_device(self, caller: Caller, device_code: str) -> Tokens | devices.Verdict:
        """Return tokens once a person approved."""

        def work(connection: Connection) -> Tokens | devices.Verdict:
            found = devices.poll(connection, device_code)
            if not found.startswith("usr_"):
                return found  # type: ignore[return-value]  # one of the verdicts, for it is no id
            user = connection.execute(select(user_table).where(user_table.c.id == found)).one_or_none()
            if user is None or user.disabled:
                return "access_denied"
            self._tell(connection, caller, user, "settings.auth.login", request="device")
            return self._signed_in(connection, user)

        return await self._store.write(work)

    async def approve(self, request: ApiRequest[None, DeviceApproval]) -> DeviceApproved:
        """Approve or deny a device. Raises `NotFound`; `PermissionDenied` for a key and for the owner's socket."""
        user_id = request.caller.user_id
        if user_id is None or request.caller.signed_in_by != "token":
            raise PermissionDenied.because("A device is approved by a person who signed in.")
        given = request.body

        def work(connection: Connection) -> DeviceApproved:
            row = devices.decide(connection, given.user_code, user_id, deny=given.deny)
            return DeviceApproved(client=row.client, approved=not given.deny)

        return await request.write(work)

    async def approve_by_password(self, caller: Caller, signed: tuple[str, str], user_code: str, *, deny: bool) -> str:
        """Approve or deny a device for who types name and password on the page; return the device's client.

        Raises `AuthInvalid`, `NotFound`, `RateLimited`.
        """
        user, _ = await self._checked(caller, *signed)

        def work(connection: Connection) -> str:
            row = devices.decide(connection, user_code, user.id, deny=deny)
            self._tell(connection, caller, user, "settings.auth.approve", request=f"device {row.client}")
            return str(row.client)

        return await self._store.write(work)

    def _signed_in(self, connection: Connection, user: Row[Any]) -> Tokens:
        family, token = families.begin(connection, user.id)
        return self._pair(user, family, token)

    def _pair(self, user: Row[Any], family: str, refresh: str) -> Tokens:
        claims = tokens.Claims(user.id, family, user.generation)
        access = tokens.issue(self._keys.key("tokens"), claims, ACCESS_SECONDS)
        return Tokens(access_token=access, refresh_token=refresh, expires_in=ACCESS_SECONDS, user=user.name)

    def _tell(
        self,
        connection: Connection,
        caller: Caller,
        user: Row[Any],
        operation: str,
        outcome: Any = "done",
        **facts: Any,
    ) -> None:
        told = {"user": user.name, "userId": user.id, **facts}
        self._witness.record(caller, operation, outcome, **told)(connection)


def new_setup_token() -> str:
    """Return a token that opens the first account."""
    return secrets.token_urlsafe(24)
