"""The kernel's own secret: in the keyring or in a file, chosen once; another one than its database's is told of."""

import asyncio
import json
import os
from pathlib import Path

import httpx
import pytest

from nexus.credentials.desktop import DesktopKeyring, found
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.keys import ACCOUNT_NAME, FILE_NAME, Keys
from nexus.kernel.settings import KernelSettings
from nexus.schemas.errors import BackendUnavailable, ConfigInvalid
from tests.kernel.answers import answer
from tests.kernel.cluster import Cluster

RINGS = "tests.nexus.credentials.rings"


def ring(folder: Path, kind: str = "FileRing", *, takes_new: bool = True) -> DesktopKeyring:
    variables = {"PATH": os.defpath, "HOME": str(folder), "RING": str(folder / "ring.json")}
    return DesktopKeyring({**variables, "PYTHON_KEYRING_BACKEND": f"{RINGS}.{kind}"}, takes_new=takes_new)


async def used(folder: Path, keyring: DesktopKeyring | None = None, secret: str | None = None) -> None:
    """Open a kernel, set a secret, see that it opens again, and close it."""
    kernel = await Kernel.open(folder, OneShotHost(), settings=KernelSettings(secret=secret), keyring=keyring)
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
            answer(await api.put("/api/secrets/API_KEY", json={"value": "correct-horse-battery"}))
    finally:
        await kernel.close()


async def test_a_new_secret_goes_to_the_keyring_and_to_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    await used(folder, ring(tmp_path))
    assert not (folder / FILE_NAME).exists()
    secret = next(iter(json.loads((tmp_path / "ring.json").read_text()).values()))
    assert not [file for file in folder.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]
    # It is asked for whatever the settings say now, and the folder may have moved.
    folder.rename(tmp_path / "moved")
    await used(tmp_path / "moved", ring(tmp_path, takes_new=False))
    # A keyring that is gone or empty is told of, and NEXUS_SECRET stands in for it.
    for keyring in (None, ring(tmp_path / "moved")):
        with pytest.raises(BackendUnavailable, match="keyring"):
            await used(tmp_path / "moved", keyring)
    await used(tmp_path / "moved", None, secret)
    with pytest.raises(ConfigInvalid, match="another"):
        await used(tmp_path / "moved", None, "x" * 40)
    # A worker of the server has it from the kernel, and makes none of its own.
    kernel = await Kernel.open(tmp_path / "moved", OneShotHost(), keyring=ring(tmp_path))
    assert kernel.secret == secret
    with pytest.raises(BackendUnavailable):
        Keys(tmp_path / "moved").key("tokens")
    assert Keys(tmp_path / "moved", kernel.secret).key("tokens") == kernel.accounts.access._keys.key("tokens")
    assert not (tmp_path / "moved" / FILE_NAME).exists()
    await kernel.close()


async def test_where_no_keyring_answers_the_file_is_chosen_and_stays_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    nobody = ring(tmp_path)
    nobody._environment = {**(nobody._environment or {}), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    await used(folder, nobody)
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    await used(folder, ring(tmp_path))
    assert not (folder / ACCOUNT_NAME).exists()
    assert not (tmp_path / "ring.json").exists()


def test_no_keyring_is_asked_where_no_desktop_runs(tmp_path: Path) -> None:
    assert found({"XDG_RUNTIME_DIR": str(tmp_path), "HOME": "/"}) is None
    bus = found({"DBUS_SESSION_BUS_ADDRESS": "unix:path=/a", "HOME": "/", "NEXUS_TOKEN": "x"})
    assert bus == {"HOME": "/", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/a"}


async def test_a_kernel_whose_secret_is_gone_or_another_one_says_so_and_starts_not(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    await used(folder)
    kept = (folder / FILE_NAME).read_bytes()
    (folder / FILE_NAME).unlink()
    with pytest.raises(ConfigInvalid, match="is gone"):
        await used(folder, ring(tmp_path))
    # Nothing was made in its place.
    assert not (folder / FILE_NAME).exists()
    assert not (folder / ACCOUNT_NAME).exists()
    (folder / FILE_NAME).write_bytes(b"y" * 40)
    with pytest.raises(ConfigInvalid, match="another one"):
        await used(folder)
    (folder / FILE_NAME).write_bytes(kept)
    await used(folder)


async def test_of_kernels_with_different_secrets_on_an_empty_database_one_starts(
    tmp_path: Path, cluster: Cluster
) -> None:
    address = cluster.database()

    async def opened(secret: str) -> Kernel | ConfigInvalid:
        settings = KernelSettings(secret=secret, database=address)
        try:
            return await Kernel.open(tmp_path / secret, OneShotHost(), settings=settings)
        except ConfigInvalid as error:
            return error

    found = await asyncio.gather(*(opened(letter * 40) for letter in "abcd"))
    (kernel,) = [each for each in found if isinstance(each, Kernel)]
    await kernel.close()
    refused = [each for each in found if isinstance(each, ConfigInvalid)]
    assert len(refused) == 3
    assert all("NEXUS_SECRET" in str(each.entry().details) for each in refused)
