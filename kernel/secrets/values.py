"""How the parts that start programs come by secrets; nothing is imported before a program wants one."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.kernel.keys import Keys
from nexus.kernel.settings import VaultAddress
from nexus.kernel.store.store import Store
from nexus.schemas.errors import ExtraMissing, NexusError

if TYPE_CHECKING:
    from nexus.kernel.secrets.catalog import SecretCatalog
    from nexus.kernel.secrets.given import Given, Told
    from nexus.kernel.secrets.giving import Giving
    from nexus.kernel.secrets.records import SealedRecords
    from nexus.kernel.vault.vault import Vault

FOLDER = "given"


class Secrets:
    """The secrets of this kernel, and which programs have which. `address` leads to a Vault that keeps them."""

    def __init__(self, store: Store, keys: Keys, data_folder: Path, address: VaultAddress | None = None) -> None:
        self._store = store
        self._keys = keys
        self._data_folder = data_folder
        self._address = address
        self._opening = asyncio.Lock()
        self._catalog: SecretCatalog | None = None
        self._giving: Giving | None = None
        self._vault: Vault | None = None
        self._fault: NexusError | None = None
        """Why the Vault of the settings cannot be used."""

    async def catalog(self) -> "SecretCatalog":
        """Return where they are found. Raises `ExtraMissing`, `ConfigInvalid` for a Vault that cannot be used."""
        catalog = await self._found()
        if self._fault is not None:
            raise self._fault
        return catalog

    async def _found(self) -> "SecretCatalog":
        async with self._opening:
            if self._catalog is None:
                from nexus.kernel.secrets.catalog import SecretCatalog
                from nexus.kernel.secrets.store import SecretRows

                if self._address is not None:
                    try:
                        # hvac and requests take a tenth of a second: not on the event loop's thread.
                        self._vault = await asyncio.to_thread(opened, self._address, self._records)
                    except NexusError as error:
                        self._fault = error
                self._catalog = SecretCatalog(self._store, SecretRows(self._keys), self._vault)
            return self._catalog

    async def giving(self) -> "Giving":
        """Return what gives them to programs: also without its Vault, for what programs print is to be masked."""
        catalog = await self._found()
        if self._giving is None:
            from nexus.kernel.secrets.giving import Giving

            self._giving = Giving(catalog, self._vault, self._records, self._data_folder)
        return self._giving

    async def give(self, session_id: str, names: Sequence[str], told: "Told") -> "Given | None":
        """Give a session's program secrets; None where it wants none. Raises what `Giving.give` does."""
        if not names:
            return None
        await self.catalog()
        return await (await self.giving()).give(session_id, names, told)

    async def take_up(self, session_id: str, names: Sequence[str], told: "Told") -> "Given | None":
        """Go on with what an earlier process of the kernel gave."""
        return await (await self.giving()).take_up(session_id, names, told) if names else None

    async def values(self, names: Collection[str]) -> list[str]:
        """Return what these secrets are now, to mask it; those that are lent, gone or out of reach are left out."""
        found: list[str] = []
        for name in names:
            with suppress(NexusError):
                found += [each.value for each in await (await self.catalog()).find([name]) if each.lease is None]
        return found

    async def changed(self) -> None:
        """Learn that a secret may have another value: who has it gets that."""
        if self._giving is not None:
            self._giving.stir()

    @property
    def lent(self) -> int:
        """How many programs have what a Vault lent."""
        return self._giving.lent if self._giving is not None else 0

    @property
    def were_given(self) -> bool:
        """Whether any program was given any, lately."""
        return any((self._data_folder / FOLDER).glob("*"))

    async def sweep(self, at_work: Collection[str]) -> None:
        """End what programs were given whose sessions are not `at_work`: an earlier process did not see them end."""
        await (await self.giving()).sweep(at_work)

    async def end_parts(self, session_id: str) -> None:
        """End what the several programs of a session were given: none of them goes on."""
        if self._giving is not None or self.were_given:
            await (await self.giving()).end_parts(session_id)

    async def close(self) -> None:
        """Let go; what programs have they keep."""
        if self._giving is not None:
            await self._giving.close()
        if self._vault is not None:
            await self._vault.close()

    @cached_property
    def _records(self) -> "SealedRecords":
        from nexus.kernel.secrets.records import SealedRecords

        return SealedRecords(self._data_folder / FOLDER, self._keys.key("given"))


def opened(address: VaultAddress, records: "SealedRecords") -> "Vault":
    """Return the Vault at an address. Raises `ExtraMissing`, `ConfigInvalid`. Blocks while modules are read."""
    try:
        import hvac  # noqa: F401 -- asked for by name, before what wants it
    except ImportError as error:
        raise ExtraMissing(feature="A Vault", extra="vault") from error
    from nexus.kernel.vault.vault import Vault

    return Vault(address, records)
