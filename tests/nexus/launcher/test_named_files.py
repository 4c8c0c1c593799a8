"""A file that a command names may be a pipe, a device, or not there: nobody waits for it, and no device is replaced."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

NAMING = (
    ("version", "--config", "pipe"),
    ("settings", "config", "set", "--key", "theme.mode", "--value", "dark", "--config", "pipe"),
    ("agent", "project", "create", "--input", "pipe"),
    ("settings", "plugin", "install", "pipe"),
    ("skill", "--to", "pipe"),
    ("skill", "--form", "agents", "--to", "pipe"),
    ("ai", "conversation", "import", "--from", "pipe"),
    ("ai", "backend", "status", "--backend", "script:pipe"),
    ("serve", "--port", "0", "--tls-cert", "pipe", "--tls-key", "pipe"),
)


@pytest.mark.parametrize("resident", ["1", "0"])
def test_a_pipe_that_nobody_writes_to_is_refused_at_once_and_the_resident_answers_on(
    home: Any, tmp_path: Path, resident: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    named = NAMING if resident == "1" else NAMING[:3]
    for words in named:
        answered = home.run(*words, cwd=tmp_path, env=home.env(NEXUS_RESIDENT=resident))
        first = answered.envelope["errors"][0] if words[0] != "version" and words[1] != "backend" else None
        assert first is None or "pipe" in first["message"], words
    assert home.run("version").status == 0
    assert (tmp_path / "pipe").is_fifo()


def test_a_device_is_never_replaced_by_a_file(home: Any, tmp_path: Path) -> None:
    null = tmp_path / "null"
    try:
        os.mknod(null, 0o600 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    (tmp_path / "log").write_text("a line\n")
    for words in (
        ("skill", "--to", "null"),
        ("settings", "config", "set", "--key", "theme.mode", "--value", "dark", "--config", "null"),
        ("settings", "audit", "export", "--to", "null", "--overwrite"),
        ("debug", "log", "export", "--file", "log", "--to", "null"),
    ):
        assert home.run(*words, cwd=tmp_path).status in (2, 5), words
    assert null.is_char_device()


def test_stdin_has_its_names_and_other_descriptors_are_the_callers_alone(home: Any) -> None:
    line = 'printf \'{"name": "%s"}\' "$1" | "$NEXUS" agent project create --input "$2"'
    for name, source in (("a", "-"), ("b", "/dev/stdin"), ("c", "/dev/fd/0")):
        assert json.loads(home.shell(line, name, source).stdout)["data"]["name"] == name
    refused = json.loads(home.shell(line, "d", "/dev/fd/7").stdout)["errors"][0]
    assert refused["code"] == "INPUT_INVALID"
    assert refused["details"]["hint"] == "nexus agent project create --input - < /dev/fd/7"


@pytest.mark.parametrize("resident", ["1", "0"])
@pytest.mark.parametrize("where", ["below a file", "beyond the longest name", "no UTF-8", "below /proc", "of another"])
def test_a_home_that_cannot_be_is_told_and_what_needs_none_of_it_still_answers(
    home: Any, tmp_path: Path, where: str, resident: str
) -> None:
    (tmp_path / "file").touch()
    places = {
        "below a file": tmp_path / "file",
        "beyond the longest name": tmp_path / ("x" * 300),
        "no UTF-8": tmp_path / os.fsdecode(b"\xff"),
        "below /proc": Path("/proc/nexus"),
        "of another": tmp_path / "foreign",
    }
    if where == "of another":
        places[where].mkdir(mode=0)
    if where in ("no UTF-8", "of another"):
        # A resident starts there, and ends with the test.
        home.path = places[where]
    environment = home.env(NEXUS_HOME=str(places[where]), NEXUS_RESIDENT=resident)
    assert home.run("version", env=environment).status == 0
    if where == "of another" and os.geteuid() == 0:
        # Root may look into it.
        return
    if where == "beyond the longest name":
        assert home.run("doctor", env=environment).envelope["data"]["healthy"] is False
    answered = home.run("agent", "project", "create", "--name", "x", env=environment)
    assert answered.code in ("STORAGE_READ_ONLY", "CONFIG_INVALID", "VALIDATION_ERROR"), answered
    if where == "of another":
        places[where].chmod(0o700)


def test_a_folder_whose_name_is_no_text_is_told_where_an_answer_would_tell_of_it(home: Any, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    assert home.run("agent", "project", "list", cwd=folder).status == 0
    for words in (
        ("agent", "project", "create", "--name", "x", "--content-path", "."),
        ("settings", "audit", "export", "--to", "audit.json"),
    ):
        assert home.run(*words, cwd=folder).code == "VALIDATION_ERROR"
    assert not list(folder.iterdir())
