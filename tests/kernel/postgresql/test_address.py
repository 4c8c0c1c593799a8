"""Where a database of PostgreSQL's is: by an address, without a word of its password."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.kernel.database import open_store
from nexus.kernel.postgresql.store import PostgresqlStore
from nexus.kernel.store import account_tables  # noqa: F401 -- adds its tables to the metadata
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.errors import (
    BackendUnavailable,
    ConfigInvalid,
)
from tests.kernel.cluster import PASSWORD, Cluster

WITHOUT_DRIVER = """
import asyncio, sys
from pathlib import Path
from nexus.kernel.database import open_store
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.errors import ExtraMissing

async def main():
    kernel = await Kernel.open(Path(sys.argv[1]), OneShotHost())
    await kernel.close()
    assert not {"psycopg", "nexus.kernel.postgresql"} & sys.modules.keys()
    sys.modules["psycopg"] = None
    try:
        await open_store(Path(sys.argv[1]) / "unused.db", DatabaseAddress("postgresql:///x"))
    except ExtraMissing as missing:
        print(missing.entry().details["hint"])

asyncio.run(main())
"""


def test_the_driver_is_wanted_for_an_address_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_DRIVER, str(tmp_path / "data")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert run.stdout == "pip install 'nexus-cli[postgresql]'\n", run.stderr


@pytest.mark.parametrize(
    "url",
    [
        *("mysql://host/x", "/tmp/x.db", "postgresql://host:none-such/x", "postgresql://u:a/none-such@host/x"),
        *("postgresql://u:a@none-such@host/x", "postgresql://u:1/none-such@host/x", "postgresql://u:none-such%/x"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_words(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        asyncio.run(open_store(tmp_path / "unused.db", DatabaseAddress(url)))
    assert "none-such" not in f"{refused.value.entry()} {refused.value.__cause__}"


def test_a_password_comes_from_the_address_or_the_surroundings_and_is_never_told(
    cluster: Cluster, address: DatabaseAddress
) -> None:
    name = address.url.split("@/")[1].split("?")[0]
    plain = cluster.address(name, "guarded").url
    passfile = cluster.folder / "passfile"
    passfile.write_text(f"*:*:{name}:guarded:{PASSWORD}\n")
    passfile.chmod(0o600)
    for given in (
        cluster.address(name, "guarded", password=PASSWORD),
        DatabaseAddress(plain, {"PGPASSWORD": PASSWORD}),
        DatabaseAddress(plain, {"PGPASSFILE": str(passfile)}),
    ):
        assert PASSWORD not in repr(given)
        store = PostgresqlStore.open(given)
        assert PASSWORD not in f"{store.name} {store._writes!r}"
        store._close()
    wrong = cluster.address(name, "guarded", password="wrong horse")
    with pytest.raises(BackendUnavailable) as refused:
        PostgresqlStore.open(wrong)
    told = f"{refused.value.entry()} {refused.value.__cause__!r} {refused.value}"
    assert "guarded" in told
    assert "wrong horse" not in told
