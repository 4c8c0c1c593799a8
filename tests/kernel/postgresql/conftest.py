"""A database of its own for each test, and a store on it."""

from collections.abc import AsyncIterator

import pytest

from nexus.kernel.postgresql.store import PostgresqlStore
from nexus.kernel.store import account_tables  # noqa: F401 -- adds its tables to the metadata
from nexus.kernel.store.store import DatabaseAddress
from tests.kernel.cluster import Cluster


@pytest.fixture
def address(cluster: Cluster) -> DatabaseAddress:
    return cluster.emptied()


@pytest.fixture
async def store(address: DatabaseAddress) -> AsyncIterator[PostgresqlStore]:
    store = PostgresqlStore.open(address)
    yield store
    await store.close()
