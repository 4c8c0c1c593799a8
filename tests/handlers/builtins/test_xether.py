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
    "pipeline ls": "pipeline definition list",
    "pipeline run": "pipeline run start",
    "pipeline status": "pipeline run status",
    "pipeline history": "pipeline run history",
    "artifact ls": "data artifact list",
    "artifact download": "data artifact download",
}
"""As written there, and what each is here."""

COPY = b"""\
name: copy
parameters: {least: {type: integer}}
datasets: {prices: }
steps:
  copy:
    run: [cp, "${datasets.prices}", there.csv]
    datasets: [prices]
    artifacts: {copied: there.csv}
  count:
    needs: [copy]
    run: [sh, -c, 'wc -l < "$IN/there.csv"; echo "$LEAST"']
    environment: {IN: "${inputs.copy}", LEAST: "${parameters.least}"}
"""


def answered(shell: Shell, line: str, **given: Any) -> Any:
    done = shell.run(f"nexus {line}", **given)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return json.loads(done.stdout)["data"]


def test_every_command_is_found_and_described(shell: Shell) -> None:
    for written, canonical in COMMANDS.items():
        for line in (f"{written} --help", f"help {written}"):
            # `pipeline run` is a level too, whose help it is: that names the command.
            told = answered(shell, line)
            assert f"nexus {canonical}" in (told["name"], told["next"].replace("nexus help", "nexus")), line
        described = {command["command"]: command for command in answered(shell, f"schema {written}")["commands"]}
        assert described[canonical]["arguments"]["type"] == "object"
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

        piped = answered(shell, "pipeline definition create --from -", stdin=COPY)
        assert [item["id"] for item in answered(shell, "pipeline ls")["items"]] == [piped["id"]]
        (shell.cwd / "told.json").write_text('{"least": 5}')
        run = answered(shell, f"pipeline run {piped['id']} --params told.json --dataset prices.csv --collect")
        assert (run["status"], run["parameters"], run["datasets"]["prices"]["id"]) == (
            "succeeded",
            {"least": 5},
            pushed["id"],
        )
        assert answered(shell, f"pipeline status {run['id']}")["counts"]["succeeded"] == 2
        assert [item["id"] for item in answered(shell, f"pipeline history {piped['id']}")["items"]] == [run["id"]]
        told = answered(shell, f"pipeline run logs {run['id']} --step count --collect")["events"]
        assert [event["payload"].get("message") for event in told] == ["2000", "5", None]
        (copied,) = answered(shell, f"artifact ls --run-id {run['id']}")["items"]
        answered(shell, f"artifact download {copied['id']} copied.csv")
        assert (shell.cwd / "copied.csv").read_bytes() == content
        answered(shell, f"data artifact delete {copied['id']} --yes")
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
