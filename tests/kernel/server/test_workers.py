"""`nexus serve --workers`: real processes at one address, asked each for itself, killed, and stopped."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conftest import Shell
from tests.processes import gone
from tests.serving import SECONDS, Asking, Server

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.sync.client import ClientConnection

COUNTING = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("workers"))
    yield shell
    shell.close()


@pytest.fixture(scope="module")
def server(shell: Shell) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", shell.environment["PATH"])
        # These tests ask again and again until a worker is there.
        patch.setitem(shell.environment, "NEXUS_SERVE_REQUESTS_PER_MINUTE", "10000000")
        patch.setitem(shell.environment, "NEXUS_REGISTRATION_OPEN", "true")
        server = Server(shell, shell.cwd.parent / "server", "--workers", "2")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    return server.signed_in()


@pytest.fixture
def both(server: Server, token: str) -> Iterator[tuple[Asking, Asking]]:
    """What asks at the kernel's own process, and what asks at a worker."""
    (worker,) = ready_workers(server, token)
    made = server.at(server.process.pid, token), server.at(worker, token)
    yield made
    for each in made:
        each.connection.close()


def ready_workers(server: Server, token: str) -> list[int]:
    """Return the workers once all take requests."""
    owner = server.at(server.process.pid, token)
    while b"nexus_workers 1\n" not in owner.ask("GET", "/metrics")[1]:
        pass
    owner.connection.close()
    return server.workers()


def metric(server: Asking, name: str) -> float:
    text: bytes = server.ask("GET", "/metrics")[1]
    return sum(float(line.rpartition(b" ")[2]) for line in text.splitlines() if line.startswith(name.encode()))


def test_a_worker_answers_what_it_can_and_hands_on_the_rest(both: tuple[Asking, Asking]) -> None:
    owner, worker = both
    name = "agent.project.list"
    before = metric(owner, f'nexus_requests_total{{method="GET",operation="{name}"')
    known = owner.ask("GET", "/api/debug/kernel/metrics")[1]["requests"].get(name, 0)
    for number in range(3):
        status, made = worker.ask("POST", "/api/projects", {"name": f"p{number}"})
        assert status == 201, made
        # What one process wrote the other reads at once.
        for asking in both:
            status, found = asking.ask("GET", f"/api/projects/{made['id']}")
            assert (status, found["name"]) == (200, f"p{number}")
            assert len(asking.ask("GET", "/api/projects")[1]["items"]) == number + 1
    status, pipeline = worker.ask("POST", "/api/pipelines", {"name": "p", "steps": {"say": {"run": ["echo"]}}})
    assert status == 201, pipeline
    for asking in both:
        assert asking.ask("GET", f"/api/pipelines/{pipeline['id']}") == (200, pipeline)
        assert asking.ask("GET", "/api/runs?status=queued") == (
            200,
            {"items": [], "nextCursor": None, "truncated": False},
        )
    # Counted once each, wherever they were answered.
    assert metric(worker, f'nexus_requests_total{{method="GET",operation="{name}"') == before + 6
    assert worker.ask("GET", "/api/debug/kernel/metrics")[1]["requests"][name] == known + 6
    assert worker.ask("GET", "/api/nothing")[0] == 404
    assert worker.ask("GET", "/api/auth/me")[1]["name"] == "anna"
    nobody = Asking(worker.connection)
    assert nobody.ask("GET", "/api/projects")[0] == 401
    assert nobody.ask("GET", "/api/projects", authorization="Bearer x")[0] == 401
    assert nobody.ask("GET", "/health")[1]["status"] == "ok"
    # Who asks is not who says so in the header that processes of the server use among themselves.
    spoofed = {"nexus-peer": "http 192.0.2.1 1"}
    assert worker.ask("POST", "/api/templates", {"name": "t", "content": "x"}, **spoofed)[0] == 201
    audit = owner.ask("GET", "/api/audit?sort=-seq&limit=1")[1]["items"][0]
    assert (audit["operation"], audit["address"]) == ("agent.template.create", "127.0.0.1")
    assert owner.ask("GET", "/api/audit/verify")[1]["intact"] is True


def test_where_registration_is_open_anyone_has_an_account_that_may_do_nothing(both: tuple[Asking, Asking]) -> None:
    for asking, name in zip(both, ("carl", "cora"), strict=True):
        anyone = Asking(asking.connection)
        status, signed = anyone.ask("POST", "/api/auth/register", {"name": name, "password": "one more long one"})
        assert status == 201, signed
        assert Asking(asking.connection, signed["accessToken"]).ask("GET", "/api/projects")[0] == 403


def test_bytes_pass_through_a_worker_whole(both: tuple[Asking, Asking]) -> None:
    _, worker = both
    content = b"0123456789abcdef" * 200_000
    digest = hashlib.sha256(content).hexdigest()
    new = {"name": "big", "filename": "big", "size": len(content)}
    upload = worker.ask("POST", "/api/data/datasets/uploads", new)[1]
    nobody = Asking(worker.connection)
    for part in upload["parts"]:
        sent = content[part["offset"] : part["offset"] + part["size"]]
        assert nobody.ask("PUT", part["url"], sent)[0] < 300
    done = worker.ask("POST", f"/api/data/datasets/uploads/{upload['id']}/complete", {"sha256": digest})
    assert done[1]["sha256"] == digest, done
    url = worker.ask("GET", f"/api/data/datasets/{done[1]['id']}/download")[1]["url"]
    assert nobody.ask("GET", url)[1] == content
    status, rest = nobody.ask("GET", url, range="bytes=3199990-")
    assert (status, rest) == (206, content[3_199_990:])


def test_what_is_taken_away_is_gone_at_every_worker(both: tuple[Asking, Asking]) -> None:
    owner, worker = both
    made = {"name": "bert", "password": "another long one", "roles": ["viewer"]}
    assert owner.ask("POST", "/api/users", made)[0] == 201
    signed = worker.ask("POST", "/api/auth/login", {"name": "bert", "password": made["password"]})[1]
    berts = Asking(worker.connection, signed["accessToken"])
    assert berts.ask("GET", "/api/projects")[0] == 200
    assert owner.ask("DELETE", "/api/users/bert/roles/viewer")[0] == 200
    assert berts.ask("GET", "/api/projects")[0] == 403
    assert owner.ask("DELETE", "/api/users/bert")[0] == 200
    assert berts.ask("GET", "/api/projects")[0] == 401


def test_a_killed_worker_is_replaced_and_its_streams_go_on(server: Server, token: str, tmp_path: Path) -> None:
    (pid,) = ready_workers(server, token)
    owner = server.at(server.process.pid, token)
    restarts = metric(owner, "nexus_worker_restarts_total")
    counted = metric(owner, "nexus_requests_total")
    with attached(server.connected_to(pid), token) as websocket:
        new = {"argv": ["sh", "-c", COUNTING], "cwd": str(tmp_path)}
        opened = {"type": "debug-stream", "context": {"processId": "counting"}, "options": new}
        session = ask(websocket, "session.create", session=opened)["session"]["sessionId"]
        ask(websocket, "session.attach", sessionId=session, after=0)
        seen = lines(websocket, 20)
        subprocess.run(["kill", "-9", str(pid)], check=True)
        seen += until_closed(websocket)
    assert gone(pid, SECONDS)
    (another,) = ready_workers(server, token)
    assert another != pid
    assert metric(owner, "nexus_worker_restarts_total") == restarts + 1
    # What was counted stays counted, as far as it was told.
    assert metric(owner, "nexus_requests_total") >= counted
    with attached(server.connected_to(another), token) as websocket:
        ask(websocket, "session.attach", sessionId=session, after=seen[-1]["seq"])
        while len(seen) < 60:
            seen += taken(websocket)
        assert ask(websocket, "session.close", sessionId=session)["session"]["sessionId"] == session
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    owner.connection.close()


def test_one_bound_holds_over_all_workers(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", shell.environment["PATH"])
    monkeypatch.setitem(shell.environment, "NEXUS_SERVE_REQUESTS_PER_MINUTE", "60")
    server = Server(shell, tmp_path / "server", "--workers", "2")
    try:
        (worker,) = server.workers()
        both = server.at(server.process.pid), server.at(worker)
        begun = time.monotonic()
        answers = [both[number % 2].ask("GET", "/api/projects")[0] for number in range(30)]
        # Ten at once, and one more a second: not ten at each.
        assert 10 <= answers.count(401) <= 11 + time.monotonic() - begun
        assert set(answers) <= {401, 429}
    finally:
        port = server.address[1]
        server.process.kill()
        server.process.communicate(timeout=SECONDS)
    # Nothing of a server whose kernel was killed goes on: its address and its folder are free.
    assert gone(worker, SECONDS)
    again = Server(shell, tmp_path / "server", "--port", str(port), "--workers", "2")
    assert again.stop() == 143


def attached(connection: socket.socket, token: str) -> ClientConnection:
    headers = {"authorization": f"Bearer {token}"}
    return connect("ws://server/kernel", sock=connection, additional_headers=headers, compression=None, legacy=True)


def ask(websocket: ClientConnection, kind: str, **command: Any) -> dict[str, Any]:
    """Return the answer to a command; what streams meanwhile is passed over."""
    websocket.send(json.dumps({"id": kind, "type": kind, **command}))
    while True:
        message = websocket.recv(SECONDS)
        answer = json.loads(message) if isinstance(message, str) else {}
        if answer.get("id") == kind:
            assert answer["type"] != "refused", answer
            return dict(answer)


def taken(websocket: ClientConnection) -> list[dict[str, Any]]:
    """Return the events of the next message."""
    message = websocket.recv(SECONDS)
    return [json.loads(line) for line in message.splitlines()[1:]] if isinstance(message, bytes) else []


def until_closed(websocket: ClientConnection) -> list[dict[str, Any]]:
    """Return the events that still come."""
    found: list[dict[str, Any]] = []
    while True:
        try:
            found += taken(websocket)
        except ConnectionClosed:
            return found


def lines(websocket: ClientConnection, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += taken(websocket)
    return found
