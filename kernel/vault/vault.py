"""A Vault as the kernel uses it: values by name in KV version 2, and what its engines lend."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nexus.kernel.settings import VaultAddress
from nexus.kernel.vault.sign_in import Keeping, SignIn
from nexus.kernel.vault.term import Term
from nexus.kernel.vault.wire import Asked, Body, Call, Wire
from nexus.schemas.errors import NotFound, VaultDenied, VaultFailed

FIELD = "value"
"""The field of an entry that has the secret's value; what others wrote may have one field of another name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is told of a value: its newest version, when the first was written, and when this one was."""

    version: int
    created_at: datetime
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """What an engine lent: `data` is good while the `term` is. Without an `id` it is neither renewed nor revoked.

    `token` is whose it is: it ends with that token.
    """

    id: str
    path: str
    data: Mapping[str, str] = field(repr=False)
    term: Term
    token: str = field(repr=False)


class Vault:
    """One Vault, signed in to when it is first asked.

    Any call raises `VaultUnavailable`, `VaultSealed`, `VaultDenied`, `VaultSignInFailed`, `VaultFailed`, and
    `ConfigInvalid` where an address or a mount is wrong.
    """

    def __init__(self, address: VaultAddress, keeping: Keeping) -> None:
        self._address = address
        self._wire = Wire(address)
        self.sign_in = SignIn(self._wire, address, keeping)

    # -- values

    async def read(self, name: str) -> tuple[str, int]:
        """Return a value and its version. Raises `NotFound`."""
        place = self._place(name)
        body = await self._body(
            Asked("read", f"{self._address.mount}/data/{place}"),
            lambda client: client.secrets.kv.v2.read_secret_version(
                place, mount_point=self._address.mount, raise_on_deleted_version=True
            ),
        )
        kept = _inside(body, "data")
        return _value(_inside(kept, "data"), place), int(_inside(kept, "metadata")["version"])

    async def look(self, name: str) -> Entry:
        """Return what is told of a value. Raises `NotFound`, also for one whose newest version was deleted."""
        place = self._place(name)
        told = _inside(
            await self._body(
                Asked("read", f"{self._address.mount}/metadata/{place}"),
                lambda client: client.secrets.kv.v2.read_secret_metadata(place, mount_point=self._address.mount),
            ),
            "data",
        )
        version = int(told["current_version"])
        newest = told.get("versions", {}).get(str(version), {})
        if newest.get("deletion_time") or newest.get("destroyed"):
            raise NotFound(resource="secret", reference=name, hint="nexus settings secret list")
        return Entry(version, _moment(told["created_time"]), _moment(newest.get("created_time", told["updated_time"])))

    async def write(self, name: str, value: str) -> int:
        """Write a value's next version, and return its number."""
        place = self._place(name)
        body = await self._body(
            Asked("write", f"{self._address.mount}/data/{place}"),
            lambda client: client.secrets.kv.v2.create_or_update_secret(
                place, {FIELD: value}, mount_point=self._address.mount
            ),
        )
        return int(_inside(body, "data")["version"])

    async def delete(self, name: str) -> None:
        """Delete a value with all its versions; none there is nothing to do."""
        place = self._place(name)
        await self._done(
            Asked("delete", f"{self._address.mount}/metadata/{place}"),
            lambda client: client.secrets.kv.v2.delete_metadata_and_all_versions(
                place, mount_point=self._address.mount
            ),
        )

    async def names(self) -> list[str]:
        """Return the names of the values below the path; folders are none."""
        path = self._address.path
        try:
            body = await self._body(
                Asked("list", f"{self._address.mount}/metadata/{path}"),
                lambda client: client.secrets.kv.v2.list_secrets(path, mount_point=self._address.mount),
            )
        except NotFound:
            return []
        return [str(key) for key in _inside(body, "data").get("keys", []) if not str(key).endswith("/")]

    # -- what is lent

    async def lease(self, path: str) -> Lease:
        """Have an engine lend what is at a path, `database/creds/role` for one. Raises `NotFound`."""
        token, body = await self._asked(Asked("read", path), lambda client: client.adapter.get(f"/v1/{path}"))
        data = body.get("data")
        if not isinstance(data, dict) or not data:
            raise VaultFailed.because(f"What the Vault has at {path} is nothing that is lent.", path=path)
        term = Term(float(body.get("lease_duration") or 0), bool(body.get("renewable")))
        return Lease(str(body.get("lease_id") or ""), path, {key: _text(data[key]) for key in data}, term, token)

    async def renew(self, lease: Lease) -> Term:
        """Have a lease made longer, by the time that it had at first. Raises `VaultFailed` for one that is over."""
        wanted = int(lease.term.first or lease.term.seconds)
        body = await self._body(
            Asked("renew the lease of", lease.path), lambda client: client.sys.renew_lease(lease.id, increment=wanted)
        )
        return lease.term.renewed(float(body.get("lease_duration") or 0), renewable=bool(body.get("renewable")))

    async def revoke(self, lease_id: str, path: str) -> None:
        """End a lease: its credentials are good no more. One that is over is nothing to do."""
        await self._done(Asked("revoke the lease of", path), lambda client: client.sys.revoke_lease(lease_id))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._wire.close()

    # -- within

    def _place(self, name: str) -> str:
        return f"{self._address.path}/{name}" if self._address.path else name

    async def _body(self, asked: Asked, call: Call) -> Body:
        return (await self._asked(asked, call))[1]

    async def _asked(self, asked: Asked, call: Call) -> tuple[str, Body]:
        token = await self.sign_in.token()
        try:
            return token, await self._wire.body(token, asked, call)
        except VaultDenied as denied:
            token = await self._another(token, denied)
        return token, await self._wire.body(token, asked, call)

    async def _done(self, asked: Asked, call: Call) -> None:
        token = await self.sign_in.token()
        try:
            return await self._wire.done(token, asked, call)
        except VaultDenied as denied:
            token = await self._another(token, denied)
        return await self._wire.done(token, asked, call)

    async def _another(self, refused: str, denied: VaultDenied) -> str:
        """Return a token in the place of one that ended; raises the refusal of one that is good."""
        token = await self.sign_in.anew(refused)
        if token is None:
            raise denied
        return token


def _inside(body: Any, name: str) -> Body:
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, dict):
        raise VaultFailed.because(f"The Vault's answer has no {name!r} as KV version 2 has it.")
    return found


def _value(data: Body, place: str) -> str:
    if FIELD in data:
        return _text(data[FIELD])
    if len(data) == 1:
        return _text(next(iter(data.values())))
    raise VaultFailed.because(
        f"What the Vault has at {place} has several fields, and none named {FIELD!r}.",
        hint=f"vault kv put -mount=MOUNT {place} {FIELD}=-",
        path=place,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _moment(text: str) -> datetime:
    # Nine digits of a second, and Python reads six.
    whole, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{rest[:6].ljust(6, '0')}").replace(tzinfo=UTC)
