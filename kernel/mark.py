"""The mark that the kernel's own secret leaves in its database: another secret is told of before it does anything."""

import hmac

from sqlalchemy import Connection, insert, select

from nexus.kernel.audit.chain import Chain
from nexus.kernel.keys import Keys
from nexus.kernel.store.rows import now
from nexus.kernel.store.schema import seals
from nexus.kernel.store.store import Store
from nexus.schemas.errors import ConfigInvalid

PURPOSE = "kernel"
_MARK = select(seals.c.mark).where(seals.c.purpose == PURPOSE)


async def marked(store: Store) -> str | None:
    """Return the mark that is there."""
    return await store.read(lambda connection: connection.execute(_MARK).scalar_one_or_none())


async def hold_marked(store: Store, keys: Keys, chain: Chain, mark: str | None, *, shared: bool) -> None:
    """Return when the secret is the one that the database was written under. Raises `ConfigInvalid`.

    A `shared` database that has no mark is given one now, in one transaction: of kernels with different secrets that
    begin on an empty one the first has it, and the others are refused. One of a single kernel's gets it with the first
    record of the audit chain.
    """
    if mark is None and shared:
        mark = await store.write(lambda connection: _first(connection, keys, chain))
    if mark is not None and (not keys.is_there or not hmac.compare_digest(mark, keys.mark)):
        raise _another(store, keys, shared=shared)


def leave_mark(connection: Connection, keys: Keys) -> str:
    """Leave the mark, where there is none, and return the one that is there."""
    mark = connection.execute(_MARK).scalar_one_or_none()
    if mark is not None:
        return str(mark)
    connection.execute(insert(seals).values(purpose=PURPOSE, mark=keys.mark, created_at=now()))
    return keys.mark


def _first(connection: Connection, keys: Keys, chain: Chain) -> str:
    # One that was written to before there were marks has the audit chain's head, which is sealed.
    return leave_mark(connection, keys) if chain.fits(connection) else ""


def _another(store: Store, keys: Keys, *, shared: bool) -> ConfigInvalid:
    if shared:
        return ConfigInvalid.because(
            f"Kernels that share {store.name} share a secret, and it was written to under another.",
            field="NEXUS_SECRET",
            hint="Give each of them the same NEXUS_SECRET.",
        )
    gone = "is another one" if keys.is_there else "is gone"
    return ConfigInvalid.because(
        f"The secret that {store.name} was written under {gone}: what it sealed cannot be opened without it.",
        path=keys.place,
        field="NEXUS_SECRET",
        hint=f"Put {keys.place} back, or give it as NEXUS_SECRET. The page on secrets says how to begin with another.",
    )
