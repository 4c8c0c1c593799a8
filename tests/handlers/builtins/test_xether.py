"""Every command of Xether's document under the name that it has there: found, described, and run against a server."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving import PASSWORD, Server

if TYPE_CHECKING:
    from tests.conftest import Shell

COMMANDS = {
    "login": "settings auth login",
    "logout": "settings auth logout",
    "config set": "settings config set",
    "config view": "settings config view",
    "dataset ls": "data dataset list",
    "dataset info": "data dataset view",
    "dataset push": "data dataset push",
    "dataset rm": "data dataset delete",
    "artifact ls": "data artifact list",
    "artifact download": "data artifact download",
}
"""As written there, and what each is here. Its four of pipelines come with pipelines."""


def answered(shell: Shell, line: str, **given: Any) -> Any:
    done = shell.run(f"nexus {line}", **given)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return json.loads(done.stdout)["data"]


def test_every_command_is_found_and_described(shell: Shell) -> None:
    for written, canonical in COMMANDS.items():
        for line in (f"{written} --help", f"help {written}"):
            assert answered(shell, line)["name"] == f"nexus {canonical}", line
        (described,) = answered(shell, f"schema {written}")["commands"]
        assert described["command"] == canonical
        assert described["arguments"]["type"] == "object"
    assert answered(shell, "--help")["children"]


def test_every_command_does_what_it_says(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", shell.environment["PATH"])
    server = Server(shell, tmp_path / "server")
    server.signed_in()
    content = b"a,b\n1,2\n" * 1000
    (shell.cwd / "prices.csv").write_bytes(content)
    try:
        answered(shell, f"login --server {server.url} --username anna", stdin=PASSWORD.encode())
        answered(shell, "config set --key output.format --value json")
        values = {item["key"]: item["value"] for item in answered(shell, "config view")["items"]}
        assert (values["output.format"], values["server.url"]) == ("json", server.url)

        pushed = answered(shell, "dataset push prices.csv")
        assert pushed["sha256"] == hashlib.sha256(content).hexdigest()
        assert [item["id"] for item in answered(shell, "dataset ls")["items"]] == [pushed["id"]]
        assert answered(shell, f"dataset info {pushed['id']}")["size"] == len(content)
        table = shell.run("nexus dataset ls --output table").stdout.decode()
        assert "prices" in table
        answered(shell, f"dataset rm {pushed['id']} --yes")
        assert list((tmp_path / "server" / "data" / "blobs" / "sha256").rglob("*-*")) == []

        made = answered(shell, "data artifact push prices.csv --run-id run-1")
        assert [item["id"] for item in answered(shell, "artifact ls --run-id run-1")["items"]] == [made["id"]]
        answered(shell, f"artifact download {made['id']} there.csv")
        assert (shell.cwd / "there.csv").read_bytes() == content

        answered(shell, "logout")
        refused = shell.run("nexus dataset ls")
        assert (json.loads(refused.stdout)["errors"][0]["code"], refused.returncode) == ("AUTHENTICATION_REQUIRED", 3)
    finally:
        server.stop()


def test_what_is_not_there_yet_is_told_as_such() -> None:
    row = next(line for line in seeds().splitlines() if line.startswith("| `pipeline ls`"))
    assert "**after**" in row


def seeds() -> str:
    return (Path(__file__).parents[3] / "docs" / "seeds.md").read_text()
