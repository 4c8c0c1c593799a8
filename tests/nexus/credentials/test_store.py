"""Credentials: in the keyring where one answers in time, else in a private file; never in both, never told."""

import os
from pathlib import Path

import pytest

from nexus.credentials.kept import Credentials
from nexus.credentials.keyring import Keyring, KeyringUnusable
from nexus.credentials.store import CredentialStore
from nexus.schemas.errors import BackendUnavailable

MINE = Credentials(server="https://a.example", user="anna", access_token="a", refresh_token="r", expires_at=1.0)
RINGS = "tests.nexus.credentials.rings"


def environment(folder: Path, ring: str) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "RING": str(folder / "ring.json"),
        "PYTHON_KEYRING_BACKEND": f"{RINGS}.{ring}",
    }


async def test_a_keyring_that_answers_is_chosen_and_no_file_is_written(tmp_path: Path) -> None:
    store = CredentialStore(tmp_path / "credentials", environment(tmp_path, "FileRing"))
    assert await store.keep("team", MINE, None) == "keyring"
    assert await store.load("team", "keyring") == MINE
    assert not (tmp_path / "credentials").exists()
    # Another home of the same user does not see it.
    other = CredentialStore(tmp_path / "other", environment(tmp_path, "FileRing"))
    assert await other.load("team", "keyring") is None
    await store.forget("team", "keyring")
    assert await store.load("team", "keyring") is None


async def test_without_a_keyring_a_private_file_is_chosen(tmp_path: Path) -> None:
    variables = environment(tmp_path, "FileRing") | {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    store = CredentialStore(tmp_path / "credentials", variables)
    assert await store.keep("team", MINE, None) == "file"
    path = tmp_path / "credentials" / "team.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert await store.load("team", "file") == MINE
    # What was chosen stays: a keyring that is gone is told of, and no file takes its place unseen.
    with pytest.raises(BackendUnavailable):
        await store.keep("team", MINE, "keyring")
    await store.forget("team", "file")
    assert await store.load("team", "file") is None


async def test_a_keyring_that_hangs_is_given_up(tmp_path: Path) -> None:
    ring = Keyring(environment(tmp_path, "HangingRing"), seconds=2.0)
    with pytest.raises(KeyringUnusable, match="did not answer"):
        await ring.get("team")


async def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    store = CredentialStore(tmp_path / "credentials", environment(tmp_path, "FileRing"))
    await store.keep("team", MINE, "file")
    path = tmp_path / "credentials" / "team.json"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert await store.load("team", "file") is None
