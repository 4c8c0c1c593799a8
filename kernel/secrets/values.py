"""How the parts that start programs come by secrets; nothing is imported before a program wants one."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from nexus.kernel.keys import Keys
from nexus.kernel.store.store import Store

if TYPE_CHECKING:
    from nexus.kernel.secrets.store import SecretStore


class Secrets:
    """The secrets of this kernel."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    @cached_property
    def store(self) -> "SecretStore":
        """Where they are kept."""
        from nexus.kernel.secrets.store import SecretStore

        return SecretStore(self._store, self._keys)

    async def values(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the values of these names. Raises `NotFound`, `StorageCorrupt`."""
        return await self.store.values(names) if names else {}

    async def known(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return those that are there still: a program that has one may have outlived it."""
        return await self.store.known(names) if names else {}
