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
