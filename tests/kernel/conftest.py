"""A real kernel on a folder of its own, and a client that reaches it in process.

A test that takes `kernel` runs on SQLite; in the modules of `ON_BOTH` it runs on PostgreSQL too, where that is
installed, and with NEXUS_SOAK=1 it does so in all.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store.store import DatabaseAddress
from tests.kernel.cluster import Cluster, programs, running

ON_BOTH = {
    "kernel/test_projects.py",
    "kernel/test_chats.py",
    "kernel/test_templates.py",
    "kernel/test_watch.py",
    "kernel/accounts/test_signing.py",
    "kernel/api/test_requests.py",
    "kernel/network/test_servers.py",
    "kernel/audit/test_chain.py",
    "kernel/secrets/test_secrets.py",
    "kernel/data/test_data.py",
    "kernel/pipelines/test_definitions.py",
    "kernel/pipelines/test_operations.py",
    "kernel/server/test_killed_writes.py",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have a test that opens a kernel run on both databases."""
    if "database" not in metafunc.fixturenames:
        return
    path = metafunc.definition.path
    wanted = "/".join(path.parts[path.parts.index("tests") + 1 :]) in ON_BOTH
    both = (wanted or os.environ.get("NEXUS_SOAK")) and programs() is not None  # noqa: TID251 -- the tests' switch
    metafunc.parametrize("database", ["sqlite", "postgresql"] if both else ["sqlite"], indirect=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    with running(found) as cluster:
        yield cluster


@pytest.fixture
def database(request: pytest.FixtureRequest) -> DatabaseAddress | None:
    """Where the kernel keeps its state: None is the file in its folder."""
    return None if request.param == "sqlite" else request.getfixturevalue("cluster").emptied()


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    return tmp_path / "data folder"


@pytest.fixture
async def kernel(data_folder: Path, database: DatabaseAddress | None) -> AsyncIterator[Kernel]:
    kernel = await Kernel.open(data_folder, OneShotHost(), settings=KernelSettings(database=database))
    yield kernel
    await kernel.close()


@pytest.fixture
async def api(kernel: Kernel) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as client:
        yield client
