"""Kernels and rows on a database of PostgreSQL's, as its tests make them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from sqlalchemy import insert, select

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.postgresql.store import PostgresqlStore
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store import account_tables  # noqa: F401 -- adds its tables to the metadata
from nexus.kernel.store.schema import templates
from nexus.kernel.store.store import DatabaseAddress

SECRET = "a secret that kernels on one database share"
SECONDS = 60


def template(name: str) -> dict[str, str]:
    moment = "2026-11-20T12:00:00.000000Z"
    return {"id": name, "name": name, "name_key": name, "content": "x", "created_at": moment, "updated_at": moment}


@asynccontextmanager
async def kernel_on(folder: Path, address: DatabaseAddress) -> AsyncIterator[httpx.AsyncClient]:
    """Open a kernel of its own folder on a database."""
    kernel = await Kernel.open(folder, OneShotHost(), settings=KernelSettings(secret=SECRET, database=address))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        yield api
    await kernel.close()


async def add(store: PostgresqlStore, name: str = "x") -> None:
    await store.write(lambda connection: connection.execute(insert(templates).values(template(name))))


async def names(store: PostgresqlStore) -> list[str]:
    return list(await store.read(lambda connection: connection.execute(select(templates.c.name)).scalars().all()))
