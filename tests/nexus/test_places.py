"""Where files go: the launcher's cheap rules are platformdirs' rules."""

import os
import pwd
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from nexus import places

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows asks platformdirs itself")

XDG = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")


@pytest.fixture
def short() -> Iterator[Path]:
    """A private folder whose path leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="n") as folder:
        yield Path(folder)


def find(cwd: str = "/", **environment: str) -> places.Places:
    return places.find(environment.get, cwd)


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "/home/somebody"},
        {"HOME": "/home/some body/"},
        {"HOME": ""},
        {"HOME": "relative"},
        {},
        {"HOME": "/h", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s/", "XDG_DATA_HOME": "/d e"},
        {"HOME": "/h", "XDG_CONFIG_HOME": "relative", "XDG_STATE_HOME": "", "XDG_DATA_HOME": "~/x"},
    ],
)
def test_the_rules_are_those_of_platformdirs(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "SUDO_UID", *XDG):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    theirs = platformdirs.PlatformDirs("nexus", appauthor=False)
    ours = find(**environment)
    for mine, other in (
        (ours.config, theirs.user_config_dir),
        (ours.state, theirs.user_state_dir),
        (ours.data, theirs.user_data_dir),
    ):
        assert Path(mine) == Path(other)


def test_nexus_home_moves_everything_under_one_folder() -> None:
    home = find(HOME="/h", NEXUS_HOME="/some where/nexus/", XDG_CONFIG_HOME="/c")
    assert (home.config, home.state, home.data, home.runtime, home.socket) == (
        "/some where/nexus/config",
        "/some where/nexus/state",
        "/some where/nexus/data",
        "/some where/nexus/run",
        "/some where/nexus/run/nexus.sock",
    )


def test_a_relative_nexus_home_counts_from_the_callers_folder() -> None:
    assert find(cwd="/work", NEXUS_HOME="here").data == "/work/here/data"


def test_a_home_too_long_for_a_socket_gets_a_hashed_one(short: Path) -> None:
    long, other = (f"/{'deep/' * 30}{name}" for name in ("one", "two"))
    first, second = (find(NEXUS_HOME=home, XDG_RUNTIME_DIR=str(short)) for home in (long, other))
    assert first.socket != second.socket
    assert len(os.fsencode(first.socket)) <= places.LONGEST_SOCKET
    assert first.state == f"{long}/state"


def test_different_places_have_different_sockets(tmp_path: Path) -> None:
    sockets = {
        find(HOME="/h").socket,
        find(HOME="/i").socket,
        find(HOME="/h", XDG_STATE_HOME="/s").socket,
        find(HOME="/h", XDG_CONFIG_HOME="/s").socket,
        find(HOME="/h", XDG_DATA_HOME="/s").socket,
    }
    assert len(sockets) == 5


def test_a_runtime_folder_that_others_may_enter_or_that_is_a_link_is_not_used(short: Path) -> None:
    private, shared, link = short / "p", short / "s", short / "l"
    private.mkdir(mode=0o700)
    shared.mkdir(mode=0o755)
    link.symlink_to(private)
    assert find(HOME="/h", XDG_RUNTIME_DIR=str(private)).runtime == f"{private}/nexus"
    for refused in (shared, link, short / "missing"):
        assert not find(HOME="/h", XDG_RUNTIME_DIR=str(refused)).runtime.startswith(str(short))


def test_sudo_does_not_write_into_the_home_of_the_user_who_called_it(tmp_path: Path) -> None:

    foreign = find(HOME="/nonexistent", SUDO_UID="1000")
    assert foreign.config == f"{pwd.getpwuid(os.geteuid()).pw_dir}/.config/nexus"
    own = find(HOME=str(tmp_path), SUDO_UID="1000")
    assert own.config.startswith(str(tmp_path))


def test_bytes_that_are_no_utf_8_keep_their_place() -> None:
    odd = os.fsdecode(b"/h/\xff")
    assert find(HOME="/h", NEXUS_HOME=odd).data == f"{odd}/data"
    assert find(HOME=odd).key != find(HOME="/h").key
