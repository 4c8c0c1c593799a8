"""`nexus serve` and signing in to it: real processes, a real port, a person at a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving import SECONDS, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Shell

PASSWORD = b"correct horse battery\n"


@pytest.fixture
def path(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", shell.environment["PATH"])


@pytest.fixture
def server(shell: Shell, tmp_path: Path, path: None) -> Iterator[Server]:
    server = Server(shell, tmp_path / "server")
    yield server
    server.stop()


def told(done: subprocess.CompletedProcess[bytes]) -> Any:
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)["data"]


def error(done: subprocess.CompletedProcess[bytes]) -> tuple[str, int]:
    return json.loads(done.stdout)["errors"][0]["code"], done.returncode


def test_from_the_set_up_token_to_a_key_for_a_program(shell: Shell, server: Server) -> None:
    url = server.url
    register = f"NEXUS_SETUP_TOKEN={server.setup_token()} nexus settings auth register --server {url} --username anna"
    signed = told(shell.run(register, stdin=PASSWORD))
    assert (signed["user"], signed["signedIn"], signed["by"]) == ("anna", True, "file")
    kept = Path(shell.environment["NEXUS_HOME"]) / "state" / "credentials" / f"{signed['profile']}.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    # The profile is used from then on.
    told(shell.run("nexus agent project create --name far"))
    assert told(shell.run("nexus agent project list"))["items"][0]["name"] == "far"
    status = told(shell.run("nexus settings auth status"))
    assert (status["server"], status["identity"]["roles"]) == (url, ["admin"])
    view = told(shell.run("nexus settings config get --key server.url"))
    assert (view["source"], view["origin"]) == ("profile", signed["profile"])
    # The machine's own kernel is another.
    assert told(shell.run("nexus agent project list --profile local"))["items"] == []

    key = told(shell.run("nexus settings auth token --name ci --scope agent.project.list"))["key"]
    told(shell.run("nexus settings auth logout"))
    assert error(shell.run("nexus agent project list")) == ("AUTHENTICATION_REQUIRED", 3)
    program = {"NEXUS_TOKEN": key}
    told(shell.run("nexus agent project list", environment=program))
    assert error(shell.run("nexus agent project create --name x", environment=program)) == ("PERMISSION_DENIED", 3)
    wrong = shell.run(f"nexus settings auth login --server {url} --username anna", stdin=b"a wrong one\n")
    assert error(wrong) == ("AUTHENTICATION_INVALID", 3)
    by_key = told(shell.run(f"nexus settings auth login --server {url} --token-stdin", stdin=key.encode()))
    assert by_key["user"] == "anna"
    told(shell.run("nexus settings audit verify --profile local"))


@pytest.mark.parametrize("password", [b"short-1\n", b"x" * 1025])
def test_a_password_that_does_not_fit_is_told_by_its_fault_alone(shell: Shell, server: Server, password: bytes) -> None:
    token = server.setup_token()
    register = f"NEXUS_SETUP_TOKEN={token} nexus settings auth register --server {server.url} --username anna"
    for line in (register, "nexus settings user create --name anna --profile local"):
        refused = shell.run(line, stdin=password)
        assert error(refused) == ("VALIDATION_ERROR", 2)
        assert password[:6] not in refused.stdout + refused.stderr
    assert error(shell.run(f"NEXUS_SETUP_TOKEN={'y' * 201} {register.partition(' ')[2]}", stdin=PASSWORD))[1] == 2


def test_a_profile_that_is_signed_out_is_nobody_elses(shell: Shell, server: Server) -> None:
    register = f"NEXUS_SETUP_TOKEN={server.setup_token()} nexus settings auth register --server {server.url}"
    told(shell.run(f"{register} --username anna", stdin=PASSWORD))
    told(shell.run("nexus settings user create --name bert --role viewer", stdin=PASSWORD))
    sign_in = f"nexus settings auth login --server {server.url} --username bert --profile bert"
    told(shell.run(sign_in, stdin=PASSWORD))
    told(shell.run("nexus settings auth logout --profile bert"))
    for named in ("", " --profile bert"):
        refused = shell.run(f"nexus agent project list{named}")
        assert error(refused) == ("AUTHENTICATION_REQUIRED", 3)
    hint = json.loads(refused.stdout)["errors"][0]["details"]["hint"]
    assert hint == f"nexus settings auth login --server {server.url} --profile bert"
    told(shell.run(f"{hint} --username bert", stdin=PASSWORD))
    assert told(shell.run("nexus settings auth status"))["user"] == "bert"


def test_everyone_changes_their_own_password_and_what_it_signed_in_ends(shell: Shell, server: Server) -> None:
    register = f"NEXUS_SETUP_TOKEN={server.setup_token()} nexus settings auth register --server {server.url}"
    told(shell.run(f"{register} --username anna", stdin=PASSWORD))
    told(shell.run("nexus settings user create --name bert", stdin=PASSWORD))
    sign_in = f"nexus settings auth login --server {server.url} --username bert --profile"
    for profile in ("here", "elsewhere"):
        told(shell.run(f"{sign_in} {profile}", stdin=PASSWORD))
    change = "nexus settings auth password --profile here"
    for given in (PASSWORD, PASSWORD + b"short\n"):
        assert error(shell.run(change, stdin=given)) == ("VALIDATION_ERROR", 2)
    assert error(shell.run(change, stdin=b"not the password\nanother long one\n")) == ("AUTHENTICATION_INVALID", 3)
    assert told(shell.run(change, stdin=PASSWORD + b"another long one\n"))["user"] == "bert"
    assert told(shell.run("nexus settings auth status --profile here"))["user"] == "bert"
    assert error(shell.run("nexus settings auth status --profile elsewhere"))[1] == 3
    assert error(shell.run(f"{sign_in} here", stdin=PASSWORD)) == ("AUTHENTICATION_INVALID", 3)
    told(shell.run(f"{sign_in} here", stdin=b"another long one\n"))
    key = told(shell.run("nexus settings auth token --name ci"))["key"]
    by_key = shell.run(change, stdin=b"another long one\nand one more\n", environment={"NEXUS_TOKEN": key})
    assert error(by_key) == ("PERMISSION_DENIED", 3)


def test_fifty_commands_at_once_refresh_once(shell: Shell, server: Server) -> None:
    register = f"NEXUS_SETUP_TOKEN={server.setup_token()} nexus settings auth register --server {server.url}"
    profile = told(shell.run(f"{register} --username anna", stdin=PASSWORD))["profile"]
    kept = Path(shell.environment["NEXUS_HOME"]) / "state" / "credentials" / f"{profile}.json"
    old = json.loads(kept.read_text())
    kept.write_text(json.dumps({**old, "expires_at": 0, "expiresAt": 0}))
    script = "for i in $(seq 50); do nexus agent project list >out.$i & done; wait; cat out.*"
    done = shell.run(script)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["status"] for line in lines] == ["ok"] * 50, lines
    assert json.loads(kept.read_text())["refreshToken"] != old["refreshToken"]
    server.process.send_signal(signal.SIGTERM)
    _, log = server.process.communicate(timeout=SECONDS)
    records = [json.loads(line) for line in log.splitlines() if '"path"' in line]
    refreshes = [each for each in records if each["path"] == "/api/auth/refresh"]
    assert len(refreshes) == 1, refreshes


def test_a_server_ends_in_time_with_streams_open(shell: Shell, server: Server) -> None:
    register = f"NEXUS_SETUP_TOKEN={server.setup_token()} nexus settings auth register --server {server.url}"
    told(shell.run(f"{register} --username anna", stdin=PASSWORD))
    (shell.cwd / "log").write_text("one\n")
    follow = subprocess.Popen(
        ["nexus", "debug", "log", "tail", "--file", str(shell.cwd / "log"), "--follow"],
        env=shell.environment,
        cwd=shell.cwd,
        stdout=subprocess.PIPE,
    )
    try:
        assert follow.stdout is not None
        while b'"one"' not in follow.stdout.readline():
            pass
        host, port = server.url.removeprefix("http://").split(":")
        with closing(socket.create_connection((host, int(port)))):
            begun = time.monotonic()
            assert server.stop() == 143
            # The bar is three seconds; a machine ten times slower has its time too.
            assert time.monotonic() - begun < 30
    finally:
        follow.kill()
        follow.communicate()


def test_a_folder_that_a_server_has_is_reached_by_its_socket(shell: Shell, server: Server) -> None:
    """Its owner's commands need no sign-in, whatever the server asks of a network."""
    there = {"NEXUS_HOME": str(server.home), "NEXUS_RESIDENT": "0"}
    told(shell.run("nexus agent project create --name here", environment=there))
    assert told(shell.run("nexus debug kernel status", environment=there))["mode"] == "server"
    second = shell.run("nexus serve --port 0", environment=there)
    assert error(second) == ("FOLDER_OWNED", 6)
    told(shell.run("nexus debug kernel stop", environment=there))
    assert server.process.wait(SECONDS) == 143


def test_tls_by_files_and_a_port_that_is_taken(shell: Shell, tmp_path: Path, path: None) -> None:
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost "
        "-addext subjectAltName=IP:127.0.0.1 2>/dev/null"
    )
    shell.environment["PATH"] += ":/usr/bin"
    assert shell.run(make).returncode == 0
    server = Server(shell, tmp_path / "server", "--tls-cert", "cert.pem", "--tls-key", "key.pem")
    try:
        assert server.url.startswith("https://")
        trusting = {"SSL_CERT_FILE": str(shell.cwd / "cert.pem"), "NEXUS_TOKEN": "none"}
        for resident in ("0", "1"):
            here = {"NEXUS_TOKEN": "none", "NEXUS_RESIDENT": resident}
            refused = shell.run(f"nexus agent project list --server {server.url}", environment=here)
            assert error(refused) == ("BACKEND_UNAVAILABLE", 5)
            refused = shell.run(f"nexus agent project list --server {server.url}", environment={**here, **trusting})
            assert error(refused) == ("AUTHENTICATION_INVALID", 3)
        told(shell.run('nexus settings config set --key server.ca_file --value "$PWD/cert.pem"'))
        register = f"NEXUS_SETUP_TOKEN={server.setup_token()} nexus settings auth register --server {server.url}"
        told(shell.run(f"{register} --username anna", stdin=PASSWORD))
        told(shell.run("nexus agent project create --name far && nexus agent project select --name far >&2"))
        for transport in ("websocket", "polling"):
            ran = shell.run(f"nexus agent terminal run --collect --command 'echo near' --transport {transport}")
            assert b"near" in ran.stdout
        told(shell.run("nexus data dataset push cert.pem --name mine"))
        told(shell.run("nexus data dataset pull mine copy.pem"))
        nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9"}
        assert error(shell.run("nexus agent project list", environment=nowhere)) == ("BACKEND_UNAVAILABLE", 5)
        told(shell.run("nexus agent project list", environment={**nowhere, "NO_PROXY": "127.0.0.1"}))
        port = server.url.rpartition(":")[2]
        taken = shell.run(f"nexus serve --port {port}", environment={"NEXUS_RESIDENT": "0"})
        assert error(taken) == ("RESOURCE_UNAVAILABLE", 8)
    finally:
        server.stop()
    bad = shell.run("nexus serve --tls-cert cert.pem --tls-key cert.pem", environment={"NEXUS_RESIDENT": "0"})
    assert error(bad) == ("CONFIG_INVALID", 2)


def test_a_password_is_typed_unseen_at_a_terminal(shell: Shell, server: Server) -> None:
    register = f"nexus settings auth register --server {server.url} --username anna"
    environment = {**shell.environment, "NEXUS_SETUP_TOKEN": server.setup_token(), "TERM": "dumb"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shell.cwd)
        os.execvpe("nexus", register.split(), environment)
    seen = b""
    try:
        seen = read_until(terminal, b"Password: ", seen)
        os.write(terminal, PASSWORD)
        seen = read_until(terminal, b"again: ", seen)
        os.write(terminal, PASSWORD)
        seen = read_until(terminal, b'"signedIn"', seen)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    assert PASSWORD.strip() not in seen


def read_until(terminal: int, wanted: bytes, seen: bytes) -> bytes:
    deadline = time.monotonic() + SECONDS
    while wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, seen
        seen += os.read(terminal, 4096)
    return seen


def test_projects_lie_where_the_variable_says(shell: Shell, tmp_path: Path) -> None:
    there = {"NEXUS_FS_ROOT": str(tmp_path / "elsewhere"), "NEXUS_RESIDENT": "0"}
    made = told(shell.run("nexus agent project create --name a", environment=there))
    assert Path(made["contentPath"]).parent == tmp_path / "elsewhere"
    told(shell.run("nexus agent file write --path a.txt --content x --project a", environment=there))
    assert (Path(made["contentPath"]) / "a.txt").read_text() == "x"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="There is no systemd here.")
def test_the_unit_is_one_and_lets_little_out(tmp_path: Path) -> None:
    unit = (Path(__file__).parents[3] / "examples" / "nexus.service").read_text()
    # The command is not where the unit has it, on the machine of the tests.
    (tmp_path / "nexus.service").write_text(unit.replace("/usr/local/bin/nexus", sys.executable))
    for words in (["verify"], ["security", "--offline=true", "--threshold=40"]):
        found = subprocess.run(
            ["systemd-analyze", *words, str(tmp_path / "nexus.service")],
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert found.returncode == 0, (found.stdout[-300:], found.stderr)


def test_the_examples_folder_serves_as_it_says() -> None:
    examples = Path(__file__).parents[3] / "examples"
    unit = (examples / "nexus.service").read_text()
    assert "ExecStart=" in unit
    assert "NEXUS_RESIDENT=0" in unit
    assert "nexus serve" in (examples / "Containerfile").read_text().replace('", "', " ")


def test_what_a_node_is_stands_in_settings_and_is_refused_where_it_cannot_be(shell: Shell) -> None:
    variables = {
        "NEXUS_CLUSTER_ROLE": "node",
        "NEXUS_HUB_URL": "https://hub.example",
        "NEXUS_NODE_HOST": "one.example",
        "NEXUS_NODE_CAPACITY": "3",
        "NEXUS_RESIDENT": "0",
    }
    view = told(shell.run("nexus settings config view --category cluster", environment=variables))
    found = {item["key"]: (item["value"], item["source"], item["origin"]) for item in view["items"]}
    assert found == {
        "cluster.role": ("node", "environment", "NEXUS_CLUSTER_ROLE"),
        "cluster.hub_url": ("https://hub.example", "environment", "NEXUS_HUB_URL"),
        "cluster.node_host": ("one.example", "environment", "NEXUS_NODE_HOST"),
        "cluster.node_capacity": (3, "environment", "NEXUS_NODE_CAPACITY"),
    }
    del variables["NEXUS_HUB_URL"]
    assert error(shell.run("nexus serve --port 0", environment=variables)) == ("CONFIG_INVALID", 2)
    for name, wrong in (("CLUSTER_ROLE", "boss"), ("HUB_URL", "hub.example"), ("NODE_CAPACITY", "0")):
        refused = shell.run("nexus settings config view", environment={**variables, f"NEXUS_{name}": wrong})
        assert error(refused) == ("CONFIG_INVALID", 2), refused.stdout
