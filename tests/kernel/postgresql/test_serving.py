"""`nexus serve` on PostgreSQL: two servers, one state; its password where nobody reads it."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.kernel.store.store import DatabaseAddress
from tests.conftest import Shell
from tests.kernel.answers import answer
from tests.kernel.cluster import PASSWORD, Cluster

SECONDS = 60
SECRET = "one secret for all kernels on the database"


@contextmanager
def serving(shell: Shell, home: Path, **environment: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Run a server; its envelope, and the line behind it on stderr where one tells a set-up token."""
    surroundings = {**shell.environment, "NEXUS_HOME": str(home), "NEXUS_RESIDENT": "0", "NEXUS_SECRET": SECRET}
    with subprocess.Popen(
        ["nexus", "serve", "--port", "0"],
        env=surroundings | environment,
        cwd=shell.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        try:
            envelope = json.loads(server.stdout.readline())
            data = envelope["data"]
            yield envelope, json.loads(server.stderr.readline())["message"] if data and data["setup"] else ""
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=SECONDS)


@pytest.fixture
def guarded(cluster: Cluster) -> DatabaseAddress:
    """A database whose user has a password, which the address does not tell."""
    name = cluster.emptied().url.split("@/")[1].split("?")[0]
    return cluster.address(name, "guarded")


def test_two_servers_share_their_state(
    shell: Shell, tmp_path: Path, guarded: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", shell.environment["PATH"])
    given = {"NEXUS_DATABASE_URL": guarded.url, "PGPASSWORD": PASSWORD}
    with ExitStack() as stack:
        # One of them is several processes by itself.
        first, told = stack.enter_context(serving(shell, tmp_path / "a", **given, NEXUS_SERVE_WORKERS="3"))
        token = told.partition("NEXUS_SETUP_TOKEN=")[2].partition(" ")[0]
        one = httpx.Client(base_url=first["data"]["url"], timeout=SECONDS, trust_env=False)
        body = {"name": "anna", "password": "correct horse battery", "setupToken": token}
        signed = answer(stack.enter_context(one).post("/api/auth/register", json=body), 201)
        bearer = {"authorization": f"Bearer {signed['accessToken']}"}
        made = answer(one.post("/api/projects", json={"name": "shared"}, headers=bearer), 201)

        for _ in range(10):
            asked = httpx.get(f"{first['data']['url']}/api/projects/{made['id']}", headers=bearer, trust_env=False)
            assert answer(asked)["name"] == "shared"

        # There is an account by now, so that the second offers to set none up; what one signed the other believes.
        second, told = stack.enter_context(serving(shell, tmp_path / "b", **given))
        assert second["data"]["setup"] is False
        other = stack.enter_context(
            httpx.Client(base_url=second["data"]["url"], headers=bearer, timeout=SECONDS, trust_env=False)
        )
        assert answer(other.get(f"/api/projects/{made['id']}"))["name"] == "shared"
        answer(other.delete(f"/api/projects/{made['id']}"))
        assert one.get(f"/api/projects/{made['id']}", headers=bearer).status_code == 404

    # A kernel with a secret of its own would be none of them.
    with serving(shell, tmp_path / "c", **given, NEXUS_SECRET=SECRET[::-1]) as (refused, _):
        assert refused["errors"][0]["code"] == "CONFIG_INVALID"


def test_a_password_is_refused_where_others_read_and_never_told(
    shell: Shell, tmp_path: Path, guarded: DatabaseAddress
) -> None:
    secret = "not-to-be-seen"
    url = guarded.url.replace("guarded@", f"guarded:{secret}@")
    setting = f"nexus settings config set --key serve.database_url --value '{url}'"
    shown = shell.run(f"nexus serve --database-url '{url}' || {setting}")
    assert shown.returncode == 2
    assert shown.stdout.count(b"a password has no place here") >= 2
    wrong = shell.run("nexus serve --port 0", environment={"NEXUS_DATABASE_URL": url, "NEXUS_RESIDENT": "0"})
    assert json.loads(wrong.stdout)["errors"][0]["code"] == "BACKEND_UNAVAILABLE"
    for stream in (shown.stdout, shown.stderr, wrong.stdout, wrong.stderr):
        assert secret.encode() not in stream
